internal import Configuration
internal import Store

/// A run record that cannot be understood, as one sentence that names the member at fault.
public struct RecordError: Error, Equatable, CustomStringConvertible {
  public let description: String

  init(_ description: String) {
    self.description = description
  }
}

/// Reads the members of a stored JSON object by name and type.
struct RecordMembers {
  private let members: [String: JSON]
  private let path: String

  init(_ json: JSON, _ path: String) throws(RecordError) {
    guard let members = json.object else { throw RecordError("\(path) is \(json.kind) where an object is expected") }
    self.members = members
    self.path = path
  }

  func value(_ key: String) throws(RecordError) -> JSON {
    guard let value = members[key] else { throw RecordError("\(path) has no \"\(key)\"") }
    return value
  }

  func optionalValue(_ key: String) throws(RecordError) -> JSON? { members[key] }

  func member(_ key: String) throws(RecordError) -> RecordMembers {
    try RecordMembers(try value(key), "\"\(key)\" of \(path)")
  }

  /// The members of an object that may be absent.
  func optionalMember(_ key: String) throws(RecordError) -> RecordMembers? {
    members[key] == nil ? nil : try member(key)
  }

  func object(_ key: String) throws(RecordError) -> [String: JSON] { try expect(key, "an object", \.object) }
  func string(_ key: String) throws(RecordError) -> String { try expect(key, "a string", \.string) }
  func bool(_ key: String) throws(RecordError) -> Bool { try expect(key, "true or false", \.bool) }
  func integer(_ key: String) throws(RecordError) -> Int { try expect(key, "a whole number", \.integer) }
  func number(_ key: String) throws(RecordError) -> Double { try expect(key, "a number", \.number) }

  func optionalString(_ key: String) throws(RecordError) -> String? { members[key] == nil ? nil : try string(key) }
  func optionalInteger(_ key: String) throws(RecordError) -> Int? { members[key] == nil ? nil : try integer(key) }
  func optionalNumber(_ key: String) throws(RecordError) -> Double? { members[key] == nil ? nil : try number(key) }
  func optionalDigest(_ key: String) throws(RecordError) -> Digest? { members[key] == nil ? nil : try digest(key) }

  func digest(_ key: String) throws(RecordError) -> Digest {
    let text = try string(key)
    guard let digest = Digest(hex: text) else { throw wrong(key, "64 hexadecimal digits") }
    return digest
  }

  /// A seed is stored as text, for JSON's numbers end at 2⁵³.
  func seed(_ key: String) throws(RecordError) -> Int {
    guard let seed = Int(try string(key)) else { throw wrong(key, "a whole number in quotes") }
    return seed
  }

  func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, _ type: Choice.Type
  ) throws(RecordError) -> Choice {
    guard let choice = Choice(rawValue: try string(key)) else {
      throw wrong(key, "one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return choice
  }

  func strings(_ key: String) throws(RecordError) -> [String] {
    var strings: [String] = []
    for value in try expect(key, "a list", \.array) {
      guard let text = value.string else { throw wrong(key, "a list of strings") }
      strings.append(text)
    }
    return strings
  }

  func list<Element>(
    _ key: String, _ make: (RecordMembers) throws(RecordError) -> Element
  ) throws(RecordError) -> [Element] {
    var elements: [Element] = []
    for (index, value) in try expect(key, "a list", \.array).enumerated() {
      elements.append(try make(try RecordMembers(value, "\"\(key)[\(index)]\" of \(path)")))
    }
    return elements
  }

  private func expect<Value>(
    _ key: String, _ expected: String, _ read: (JSON) -> Value?
  ) throws(RecordError) -> Value {
    guard let value = read(try value(key)) else { throw wrong(key, expected) }
    return value
  }

  private func wrong(_ key: String, _ expected: String) -> RecordError {
    RecordError("\"\(key)\" of \(path) is \(members[key]?.kind ?? "absent") where \(expected) is expected")
  }
}
