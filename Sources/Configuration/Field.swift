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
  public private(set) var source: String
  /// False for settings that cannot change a result (device, paths to save to): they are left out of hashes and keys.
  public let affectsResult: Bool
  /// What the value names, for checks that need to know more than the configuration does.
  public let role: FieldRole
  /// Who fills the field in when the file leaves it out, before the default does.
  public let filledBy: FieldFiller?
  /// Whether a configuration is written without the key while it is null: a setting that came later, which leaves the
  /// hashes of what does not use it as they were.
  public private(set) var isLeftOutWhenNull = false
  /// The settings of the object, or of each object of the list, that the value is; empty for every other value.
  public private(set) var members: [FieldDescription] = []

  let read: @Sendable (JSON, inout Root) throws(ConfigurationError) -> Void
  let write: @Sendable (Root) -> JSON
  let isWritten: @Sendable (Root) -> Bool

  /// A field whose default is the property's initial value.
  public init<Value: ConfigurationValue>(
    _ key: String, _ path: any WritableKeyPath<Root, Value> & Sendable, _ rule: Rule<Value>,
    _ meaning: String, source: String = "", affectsResult: Bool = true,
    role: FieldRole = .setting
  ) {
    self.init(key, path, type: Value.typeName, rule, meaning, source, affectsResult, role, filledBy: nil) {
      json throws(ConfigurationError) in
      try Self.value(json, rule)
    } write: {
      $0[keyPath: path].json
    }
  }

  /// A field that may hold every value of its type.
  public init<Value: ConfigurationValue>(
    _ key: String, _ path: any WritableKeyPath<Root, Value> & Sendable,
    _ meaning: String, source: String = "", affectsResult: Bool = true,
    role: FieldRole = .setting
  ) {
    self.init(key, path, .anything, meaning, source: source, affectsResult: affectsResult, role: role)
  }

  /// A field that may be `null`; the rule speaks of the value that is there.
  public init<Value: ConfigurationValue>(
    _ key: String, _ path: any WritableKeyPath<Root, Value?> & Sendable, _ rule: Rule<Value>,
    _ meaning: String, source: String = "", affectsResult: Bool = true,
    role: FieldRole = .setting
  ) {
    self.init(key, path, type: Value?.typeName, rule, meaning, source, affectsResult, role, filledBy: nil) {
      json throws(ConfigurationError) in
      json.isNull ? nil : try Self.value(json, rule, type: Value?.typeName)
    } write: {
      $0[keyPath: path].json
    }
  }

  /// A field that something else decides when it is left out, and `fallback` when that has no opinion either; without
  /// a fallback the value must then be written.
  ///
  /// The property is `nil` exactly if the file leaves the key out; `null` is not a way to write it.
  public init<Value: ConfigurationValue>(
    _ key: String, _ path: any WritableKeyPath<Root, Value?> & Sendable, filledBy: FieldFiller,
    otherwise fallback: Value?, _ rule: Rule<Value>, _ meaning: String, source: String = "",
    affectsResult: Bool = true, role: FieldRole = .setting
  ) {
    self.init(key, path, type: Value.typeName, rule, meaning, source, affectsResult, role, filledBy: filledBy) {
      json throws(ConfigurationError) in
      .some(try Self.value(json, rule))
    } write: {
      ($0[keyPath: path] ?? fallback).json
    } isWritten: {
      $0[keyPath: path] != nil
    }
  }

  private init<Value: Sendable, Ruled: ConfigurationValue>(
    _ key: String, _ path: any WritableKeyPath<Root, Value> & Sendable, type: String, _ rule: Rule<Ruled>,
    _ meaning: String, _ source: String, _ affectsResult: Bool, _ role: FieldRole, filledBy: FieldFiller?,
    read: @escaping @Sendable (JSON) throws(ConfigurationError) -> Value,
    write: @escaping @Sendable (Root) -> JSON,
    isWritten: @escaping @Sendable (Root) -> Bool = { _ in true }
  ) {
    self.key = key
    self.type = type
    self.requirement = Self.requirement(rule, isList: type.hasPrefix("list"))
    self.meaning = meaning
    self.source = source
    self.affectsResult = affectsResult
    self.role = role
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

  /// The rule in words; of a type with a fixed set of values these too.
  private static func requirement<Value: ConfigurationValue>(_ rule: Rule<Value>, isList: Bool) -> String {
    guard let choices = Value.choices else { return rule.requirement }
    let oneOf = (isList ? "each one of " : "one of ") + choices.joined(separator: ", ")
    return rule.requirement.isEmpty ? oneOf : "\(rule.requirement), \(oneOf)"
  }

  /// This field as one of a configuration that holds this one in a property: settings that several configurations share
  /// are declared once.
  public func inside<Outer>(_ path: any WritableKeyPath<Outer, Root> & Sendable) -> Field<Outer> {
    Field<Outer>(inner: self, path)
  }

  /// This field where its default comes from elsewhere than where it was declared.
  public func sourced(_ source: String) -> Field {
    var field = self
    field.source = source
    return field
  }

  /// This field where a configuration that does not use it is written as if there were none.
  public func leftOutWhenNull() -> Field {
    var field = self
    field.isLeftOutWhenNull = true
    return field
  }

  /// This field where its value is an object of such settings, or a list of them.
  ///
  /// - Parameter others: the settings that may not be written here
  public func holding<Inner: Configuration>(_ type: Inner.Type, without others: [String] = []) -> Field {
    var field = self
    field.members = type.table.filter { !others.contains($0.key) }
    return field
  }

  private init<Inner>(inner: Field<Inner>, _ path: any WritableKeyPath<Root, Inner> & Sendable) {
    key = inner.key
    type = inner.type
    requirement = inner.requirement
    meaning = inner.meaning
    source = inner.source
    affectsResult = inner.affectsResult
    role = inner.role
    filledBy = inner.filledBy
    members = inner.members
    isLeftOutWhenNull = inner.isLeftOutWhenNull
    read = { json, root throws(ConfigurationError) in try inner.read(json, &root[keyPath: path]) }
    write = { inner.write($0[keyPath: path]) }
    isWritten = { inner.isWritten($0[keyPath: path]) }
  }

  /// Reads a value and holds it against its type, its choices and its rule.
  private static func value<Value: ConfigurationValue>(
    _ json: JSON, _ rule: Rule<Value>, type: String = Value.typeName
  ) throws(ConfigurationError) -> Value {
    guard let value = Value(json) else {
      let names = json.array?.compactMap(\.string) ?? [json.string].compactMap(\.self)
      if let choices = Value.choices, let name = names.first(where: { !choices.contains($0) }) {
        throw ConfigurationError("\"\(name)\" is not one of its values" + suggestion(for: name, among: choices))
      }
      throw ConfigurationError("expected \(article(type)), found \(found(json, type) { Value($0) != nil })")
    }
    guard rule.allows(value) else {
      let found = found(json, type) { Value($0).map(rule.allows) ?? false }
      throw ConfigurationError("expected \(article(type)), \(rule.requirement), found \(found)")
    }
    return value
  }

  /// What is wrong, in words: of a list the first element that is not right in a list of its own.
  private static func found(_ json: JSON, _ type: String, _ isRight: (JSON) -> Bool) -> String {
    guard type.hasPrefix("list"), let elements = json.array else { return json.kind }
    if elements.isEmpty { return "an empty list" }
    guard let index = elements.firstIndex(where: { !isRight(.array([$0])) }) else { return json.kind }
    return "\(elements[index].kind) at position \(index)"
  }

  private static func article(_ noun: String) -> String {
    (noun.first.map("aeiou".contains) ?? false ? "an " : "a ") + noun
  }
}

/// What a field's value names, beyond its type.
public enum FieldRole: Sendable {
  /// Nothing but itself.
  case setting
  /// A concept, or concepts, of the base model.
  case concept
  /// What stands for a concept or takes its place, in words that the base model must know.
  case phrase
  /// A prompt, or prompts, that the base model is given.
  case prompt
  /// A file or folder, relative to the file that names it.
  case path
  /// The device to run on; which one never changes a result.
  case device
}

/// Where a field that the file leaves out takes its value from, before its own default.
public enum FieldFiller: Equatable, Sendable, CustomStringConvertible {
  /// The base model's own default for the same key.
  case baseModel
  /// The concepts that the experiment's technique erases, all of them.
  case erasedConcepts

  public var description: String {
    switch self {
    case .baseModel: "the base model"
    case .erasedConcepts: "the technique's erase_concept"
    }
  }
}
