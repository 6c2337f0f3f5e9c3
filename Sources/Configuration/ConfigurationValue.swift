/// What a configuration field may hold: a type that reads itself from one JSON value and writes itself as one.
///
/// A choice among names is an enumeration of strings that conforms without writing anything:
/// `enum Device: String, CaseIterable, ConfigurationValue { case cpu, cuda }`.
public protocol ConfigurationValue: Equatable, Sendable {
  /// The type as `lethe describe` prints it: "number", "list of strings", "string or null".
  static var typeName: String { get }

  /// The names this value may have, where they are a fixed set.
  static var choices: [String]? { get }

  /// `nil` if the JSON value is of another type.
  init?(_ json: JSON)

  var json: JSON { get }
}

extension ConfigurationValue {
  public static var choices: [String]? { nil }
}

extension Bool: ConfigurationValue {
  public static var typeName: String { "boolean" }
  public init?(_ json: JSON) { if let value = json.bool { self = value } else { return nil } }
  public var json: JSON { .bool(self) }
}

extension Int: ConfigurationValue {
  public static var typeName: String { "integer" }
  public init?(_ json: JSON) { if let value = json.integer { self = value } else { return nil } }
  public var json: JSON { .integer(self) }
}

extension Double: ConfigurationValue {
  public static var typeName: String { "number" }
  public init?(_ json: JSON) { if let value = json.number { self = value } else { return nil } }
  public var json: JSON { .number(self) }
}

extension String: ConfigurationValue {
  public static var typeName: String { "string" }
  public init?(_ json: JSON) { if let value = json.string { self = value } else { return nil } }
  public var json: JSON { .string(self) }
}

extension Array: ConfigurationValue where Element: ConfigurationValue {
  public static var typeName: String { "list of \(Element.typeName)s" }
  public static var choices: [String]? { Element.choices }
  public init?(_ json: JSON) {
    guard let values = json.array else { return nil }
    self = []
    for value in values {
      guard let element = Element(value) else { return nil }
      append(element)
    }
  }
  public var json: JSON { .array(map(\.json)) }
}

extension Dictionary: ConfigurationValue where Key == String, Value == JSON {
  public static var typeName: String { "object" }
  public init?(_ json: JSON) { if let value = json.object { self = value } else { return nil } }
  public var json: JSON { .object(self) }
}

extension Optional: ConfigurationValue where Wrapped: ConfigurationValue {
  public static var typeName: String { "\(Wrapped.typeName) or null" }
  public static var choices: [String]? { Wrapped.choices }
  public init?(_ json: JSON) {
    if json.isNull {
      self = nil
    } else if let value = Wrapped(json) {
      self = value
    } else {
      return nil
    }
  }
  public var json: JSON { map(\.json) ?? .null }
}

extension ConfigurationValue where Self: RawRepresentable, RawValue == String, Self: CaseIterable {
  public static var typeName: String { "string" }
  public static var choices: [String]? { allCases.map(\.rawValue) }
  public init?(_ json: JSON) {
    guard let name = json.string, let value = Self(rawValue: name) else { return nil }
    self = value
  }
  public var json: JSON { .string(rawValue) }
}
