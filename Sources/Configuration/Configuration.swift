/// A typed configuration that is read from and written as one JSON object.
///
/// `init()` makes the configuration of an empty object: every field at its default. All that reading, writing,
/// hashing and describing need is the list of fields.
public protocol Configuration: Sendable {
  init()

  /// Every setting, in the order in which `lethe describe` lists them.
  static var fields: [Field<Self>] { get }

  /// The values in force of settings that others have a say in, by key: of one that is unset what then stands for it,
  /// `null` for one that plays no part. The base model must know what they name as if it were written.
  var inForce: [String: JSON] { get }

  /// What the writer should know although nothing is refused, one sentence each.
  var warnings: [String] { get }

  /// Refuses combinations of values that are each allowed alone; key paths are relative to the configuration.
  func validate() throws(ConfigurationError)
}

extension Configuration {
  public var inForce: [String: JSON] { [:] }
  public var warnings: [String] { [] }
  public func validate() throws(ConfigurationError) {}

  /// Reads a configuration, refusing keys it does not know and values that are not allowed.
  ///
  /// - Parameters:
  ///   - json: an object; a key that it leaves out keeps its default.
  ///   - file: the file that errors name.
  ///   - keyPath: the path of `json` in that file.
  public static func parse(
    _ json: JSON, file: String? = nil, keyPath: String = ""
  ) throws(ConfigurationError) -> Self {
    do throws(ConfigurationError) {
      guard let members = json.object else {
        throw ConfigurationError("expected an object of settings, found \(json.kind)")
      }
      let known = fields.map(\.key)
      let unknown = members.keys.sorted().filter { !known.contains($0) }
      if let first = unknown.first {
        let others = unknown.dropFirst().map { key in
          "\"\(key)\"" + (nearest(to: key, among: known).map { " (did you mean \"\($0)\"?)" } ?? "")
        }
        throw ConfigurationError(
          keyPath: first,
          "unknown key" + suggestion(for: first, among: known)
            + (others.isEmpty ? "" : "; unknown besides: " + others.joined(separator: ", ")))
      }
      var configuration = Self()
      for field in fields {
        if let value = members[field.key] { try field.read(value, &configuration) }
      }
      try configuration.validate()
      return configuration
    } catch {
      throw error.inside(file: file, keyPath: keyPath)
    }
  }

  /// The configuration as a JSON object with every default filled in, but for fields that are left out when they are
  /// null.
  ///
  /// - Parameter affectingResult: leave out the settings that cannot change a result, as hashes and cache keys do.
  public func encode(affectingResult: Bool = false) -> JSON {
    var members: [String: JSON] = [:]
    for field in Self.fields where field.affectsResult || !affectingResult {
      let value = field.write(self)
      if !(field.isLeftOutWhenNull && value.isNull) { members[field.key] = value }
    }
    return .object(members)
  }

  /// The keys that the file leaves to someone else, and to whom, in the order of the fields.
  public var leftOpen: [(key: String, to: FieldFiller)] {
    Self.fields.compactMap { field in
      guard let filler = field.filledBy, !field.isWritten(self) else { return nil }
      return (field.key, filler)
    }
  }

  /// One row for each field, as `lethe describe` prints them.
  public static var table: [FieldDescription] {
    let defaults = Self()
    return fields.map {
      FieldDescription(
        key: $0.key, type: $0.type, defaultValue: $0.write(defaults), filledBy: $0.filledBy,
        requirement: $0.requirement, meaning: $0.meaning, source: $0.source, affectsResult: $0.affectsResult,
        role: $0.role, members: $0.members)
    }
  }
}

/// A field without the type it belongs to: one row of a configuration table.
public struct FieldDescription: Equatable, Sendable {
  public let key: String
  public let type: String
  public let defaultValue: JSON
  /// Who decides where the file is silent, before `defaultValue` does.
  public let filledBy: FieldFiller?
  public let requirement: String
  public let meaning: String
  public let source: String
  public let affectsResult: Bool
  public let role: FieldRole
  /// The settings of the object, or of each object of the list, that the value is.
  public let members: [FieldDescription]
}
