/// One setting of a configuration: its JSON key, where it lives in the struct, what it may be and what it means.
///
/// The default is the stored property's own initial value, so that it is written once:
/// ```swift
/// struct SSDConfiguration: Configuration {
///   var alpha = 1.0
///   static let fields: [Field<SSDConfiguration>] = [
///     Field("alpha", \.alpha, .greaterThan(0), "How far the forget estimate outweighs the retain one", source: "…")
///   ]
/// }
/// ```
public struct Field<Root>: Sendable {
  /// The key in the JSON object.
  public let key: String
  /// The value's type in words: "number", "list of strings or null".
  public let type: String
  /// What else the value must satisfy: "greater than 0"; empty if nothing.
  public let requirement: String
  /// What the setting does, in one sentence.
  public let meaning: String
  /// Where the field and its default come from: a paper, a document, a default of our own.
  public let source: String
  /// False for settings that cannot change a result (device, paths to save to): they are left out of hashes and keys.
  public let affectsResult: Bool
  /// Who fills the field in when the file leaves it out, if that is not the default: "the base model".
  public let filledBy: String?

  let read: @Sendable (JSON, inout Root) throws(ConfigurationError) -> Void
  let write: @Sendable (Root) -> JSON
  let isWritten: @Sendable (Root) -> Bool

  /// A field whose default is the property's initial value.
  public init<Value: ConfigurationValue>(
    _ key: String, _ path: any WritableKeyPath<Root, Value> & Sendable, _ rule: Rule<Value>,
    _ meaning: String, source: String = "", affectsResult: Bool = true
  ) {
    self.init(key, path, type: Value.typeName, rule, meaning, source, affectsResult, filledBy: nil) {
      json throws(ConfigurationError) in
      try Self.value(json, rule)
    } write: {
      $0[keyPath: path].json
    }
  }

  /// A field that may hold every value of its type.
  public init<Value: ConfigurationValue>(
    _ key: String, _ path: any WritableKeyPath<Root, Value> & Sendable,
    _ meaning: String, source: String = "", affectsResult: Bool = true
  ) {
    self.init(key, path, .anything, meaning, source: source, affectsResult: affectsResult)
  }

  /// A field that may be `null`; the rule speaks of the value that is there.
  public init<Value: ConfigurationValue>(
    _ key: String, _ path: any WritableKeyPath<Root, Value?> & Sendable, _ rule: Rule<Value>,
    _ meaning: String, source: String = "", affectsResult: Bool = true
  ) {
    self.init(key, path, type: Value?.typeName, rule, meaning, source, affectsResult, filledBy: nil) {
      json throws(ConfigurationError) in
      json.isNull ? nil : try Self.value(json, rule, type: Value?.typeName)
    } write: {
      $0[keyPath: path].json
    }
  }

  /// A field that something else decides when it is left out, and `fallback` when that has no opinion either.
  ///
  /// The property is `nil` exactly if the file leaves the key out; `null` is not a way to write it.
  public init<Value: ConfigurationValue>(
    _ key: String, _ path: any WritableKeyPath<Root, Value?> & Sendable, filledBy: String, otherwise fallback: Value,
    _ rule: Rule<Value>, _ meaning: String, source: String = "", affectsResult: Bool = true
  ) {
    self.init(key, path, type: Value.typeName, rule, meaning, source, affectsResult, filledBy: filledBy) {
      json throws(ConfigurationError) in
      .some(try Self.value(json, rule))
    } write: {
      ($0[keyPath: path] ?? fallback).json
    } isWritten: {
      $0[keyPath: path] != nil
    }
  }

  private init<Value: Sendable, Ruled>(
    _ key: String, _ path: any WritableKeyPath<Root, Value> & Sendable, type: String, _ rule: Rule<Ruled>,
    _ meaning: String, _ source: String, _ affectsResult: Bool, filledBy: String?,
    read: @escaping @Sendable (JSON) throws(ConfigurationError) -> Value,
    write: @escaping @Sendable (Root) -> JSON,
    isWritten: @escaping @Sendable (Root) -> Bool = { _ in true }
  ) {
    self.key = key
    self.type = type
    self.requirement = rule.requirement
    self.meaning = meaning
    self.source = source
    self.affectsResult = affectsResult
    self.filledBy = filledBy
    self.write = write
    self.isWritten = isWritten
    self.read = { json, root throws(ConfigurationError) in
      do throws(ConfigurationError) {
        root[keyPath: path] = try read(json)
      } catch {
        throw error.inside(file: nil, keyPath: key)
      }
    }
  }

  /// Reads a value and holds it against its type, its choices and its rule.
  private static func value<Value: ConfigurationValue>(
    _ json: JSON, _ rule: Rule<Value>, type: String = Value.typeName
  ) throws(ConfigurationError) -> Value {
    guard let value = Value(json) else {
      if let choices = Value.choices, let name = json.string {
        throw ConfigurationError("\"\(name)\" is not one of its values" + suggestion(for: name, among: choices))
      }
      throw ConfigurationError("expected \(article(type)), found \(json.kind)")
    }
    guard rule.allows(value) else {
      throw ConfigurationError("expected \(article(type)), \(rule.requirement), found \(json.kind)")
    }
    return value
  }

  private static func article(_ noun: String) -> String {
    (noun.first.map("aeiou".contains) ?? false ? "an " : "a ") + noun
  }
}
