public import Configuration
internal import Foundation

/// A `config.json` of a model folder, read key by key.
///
/// Every accessor takes the default that diffusers or transformers use when the key is absent, and refuses a value of
/// another type by file and key. ``refuseOthers(than:harmless:)`` ends the reading: a setting that nobody asked for
/// could change what the model computes, so it is refused unless it is null, false or known not to matter.
public struct ConfigurationFile {
  public let file: String
  private let prefix: String
  private let values: [String: JSON]

  public init(path: String) throws {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ModelFolderError(file: path, "this file of the model folder is missing or cannot be read")
    }
    let json: JSON
    do {
      json = try JSON.parse(data, file: path)
    } catch {
      throw ModelFolderError(file: path, error.message)
    }
    guard case .object(let values) = json else {
      throw ModelFolderError(file: path, "a JSON object was expected")
    }
    self.init(file: path, values: values)
  }

  public init(file: String, values: [String: JSON]) {
    self.init(file: file, prefix: "", values: values)
  }

  private init(file: String, prefix: String, values: [String: JSON]) {
    self.file = file
    self.prefix = prefix
    self.values = values
  }

  /// The keys of the file, sorted.
  public var keys: [String] { values.keys.sorted() }

  /// Whether the key is there with a value other than null.
  public func has(_ key: String) -> Bool { value(key) != nil }

  /// The object under a key, as a configuration of its own.
  public func section(_ key: String) throws -> ConfigurationFile {
    guard case .object(let values) = value(key) else { throw error(key, "a JSON object was expected") }
    return ConfigurationFile(file: file, prefix: prefix + key + ".", values: values)
  }

  func error(_ key: String, _ message: String) -> ModelFolderError {
    ModelFolderError(file: file, key: prefix + key, message)
  }

  /// A value, or nil where the key is absent or null.
  func value(_ key: String) -> JSON? {
    guard let value = values[key], value != .null else { return nil }
    return value
  }

  func isNull(_ key: String) -> Bool { values[key] == .null }

  // MARK: Typed values

  func integer(_ key: String, default fallback: Int? = nil, atLeast minimum: Int = 1) throws -> Int {
    guard let found = value(key) else { return try fallback ?? absent(key) }
    guard let number = ConfigurationFile.integer(found) else { throw error(key, "a whole number was expected, not \(found.canonical())") }
    guard number >= minimum else { throw error(key, "\(number) is too small, at least \(minimum) was expected") }
    return number
  }

  func number(_ key: String, default fallback: Double? = nil) throws -> Double {
    guard let found = value(key) else { return try fallback ?? absent(key) }
    switch found {
    case .integer(let number): return Double(number)
    case .number(let number): return number
    default: throw error(key, "a number was expected, not \(found.canonical())")
    }
  }

  func boolean(_ key: String, default fallback: Bool) throws -> Bool {
    guard let found = value(key) else { return fallback }
    guard case .bool(let truth) = found else { throw error(key, "true or false was expected, not \(found.canonical())") }
    return truth
  }

  func string(_ key: String, default fallback: String? = nil) throws -> String {
    guard let found = value(key) else { return try fallback ?? absent(key) }
    guard case .string(let text) = found else { throw error(key, "a string was expected, not \(found.canonical())") }
    return text
  }

  func strings(_ key: String, default fallback: [String]? = nil) throws -> [String] {
    guard let found = value(key) else { return try fallback ?? absent(key) }
    guard case .array(let items) = found else { throw error(key, "a list of strings was expected, not \(found.canonical())") }
    return try items.map { item in
      guard case .string(let text) = item else { throw error(key, "a list of strings was expected, not \(found.canonical())") }
      return text
    }
  }

  func integers(_ key: String, default fallback: [Int]? = nil) throws -> [Int] {
    guard let found = value(key) else { return try fallback ?? absent(key) }
    guard case .array(let items) = found else { throw error(key, "a list of whole numbers was expected, not \(found.canonical())") }
    return try items.map { item in
      guard let number = ConfigurationFile.integer(item), number > 0 else {
        throw error(key, "a list of positive whole numbers was expected, not \(found.canonical())")
      }
      return number
    }
  }

  /// A whole number for all levels, or a list with one for each.
  func integers(_ key: String, default fallback: Int, levels: Int) throws -> [Int] {
    guard case .array = value(key) else {
      return Array(repeating: try integer(key, default: fallback), count: levels)
    }
    let list = try integers(key)
    guard list.count == levels else {
      throw error(key, "\(list.count) values for a model of \(levels) levels")
    }
    return list
  }

  /// A whole number, or a list that says the same number for both axes.
  func square(_ key: String, default fallback: Int? = nil) throws -> Int {
    guard case .array = value(key) else { return try integer(key, default: fallback) }
    let list = try integers(key)
    guard let first = list.first, list.allSatisfy({ $0 == first }) else {
      throw error(key, "only squares are supported, not \(list)")
    }
    return first
  }

  private static func integer(_ value: JSON) -> Int? {
    switch value {
    case .integer(let number): return number
    case .number(let number): return Int(exactly: number)
    default: return nil
    }
  }

  private func absent<Value>(_ key: String) throws -> Value {
    throw error(key, "this key is missing")
  }

  // MARK: Refusals

  /// Refuses any value but those in `supported`; absent and null count as `absent`.
  func require(_ key: String, _ supported: JSON..., absent: JSON = .null) throws {
    let found = values[key] ?? absent
    guard !supported.contains(where: { ConfigurationFile.means($0, found) }) else { return }
    let expected = supported.map { $0.canonical() }.joined(separator: " or ")
    throw error(key, "\(found.canonical()) is not supported, only \(expected)")
  }

  /// Equality that does not tell 1 from 1.0.
  private static func means(_ left: JSON, _ right: JSON) -> Bool {
    if left == right { return true }
    switch (left, right) {
    case (.integer(let a), .number(let b)), (.number(let b), .integer(let a)): return Double(a) == b
    default: return false
    }
  }

  /// Refuses keys that are not known, but those that are null, false or begin with an underscore.
  func refuseOthers(than known: [String], harmless: [String] = []) throws {
    for key in keys where !known.contains(key) && !harmless.contains(key) && !key.hasPrefix("_") {
      if values[key] == .null || values[key] == .bool(false) { continue }
      let hint = nearest(to: key, among: known).map { "; did you mean `\($0)`?" } ?? ""
      throw error(key, "this setting is not known\(hint)")
    }
  }
}
