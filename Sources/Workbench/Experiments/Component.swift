public import Configuration

/// A technique, an attack or a metric, chosen by name and configured.
public struct Component: Sendable {
  public let kind: ComponentKind
  public let name: String
  /// The typed configuration; `nil` if the technique or metric is known from the source documents but not built yet.
  public let configuration: (any Configuration)?
  /// The configuration as JSON: every default filled in, or as it was written where there is no type for it.
  public let config: JSON
  /// Where it stands in its experiment file, for errors.
  let keyPath: String

  /// Reads `{"name": …, "config": {…}}`.
  init(
    _ kind: ComponentKind, parsing reference: [String: JSON], keyPath: String, file: String, catalogue: Catalogue
  ) throws(ConfigurationError) {
    let chosen = try ComponentReference.parse(.object(reference), file: file, keyPath: keyPath)
    self.kind = kind
    self.name = chosen.name
    self.keyPath = keyPath
    let type: (any Configuration.Type)?
    do throws(ConfigurationError) {
      type = try catalogue.configuration(of: kind, named: chosen.name)
    } catch {
      throw error.inside(file: file, keyPath: keyPath + ".name")
    }
    configuration = try type?.parse(.object(chosen.config), file: file, keyPath: keyPath + ".config")
    config = configuration?.encode() ?? .object(chosen.config)
  }

  private init(_ other: Component, configuration: any Configuration) {
    kind = other.kind
    name = other.name
    keyPath = other.keyPath
    self.configuration = configuration
    config = configuration.encode()
  }

  /// The attack that a metric is measured under, where its configuration names one.
  var attackName: String? { kind == .metric ? config["attack"]?.string : nil }

  /// What tells a metric from the others of its experiment: its name, and the attack that it is measured under.
  var label: String { attackName.map { "\(name).\($0)" } ?? name }

  /// `{"name": …, "config": {…}}` with every default filled in.
  public var json: JSON { ["name": .string(name), "config": config] }

  /// The same without the settings that cannot change a result.
  public var jsonAffectingResult: JSON {
    guard let configuration else {
      let irrelevant = ["device", "save_path", "output_dir"]
      return ["name": .string(name), "config": .object((config.object ?? [:]).filter { !irrelevant.contains($0.key) })]
    }
    return ["name": .string(name), "config": configuration.encode(affectingResult: true)]
  }

  /// What a setting names: one string or several.
  struct Naming {
    /// The key path inside the configuration, `instruction_concepts.0.prompt`.
    let key: String
    let values: [String]
    /// The setting to write where nobody has; nil where somebody has written it.
    let unwritten: String?
  }

  /// What the settings of a role name, in the order of the fields, and what is in force of those that are unset.
  func strings(_ role: FieldRole) -> [Naming] {
    guard let configuration else { return [] }
    let inForce = configuration.inForce
    return type(of: configuration).table.flatMap { row in
      let isUnwritten = config[row.key] ?? .null == row.defaultValue
      return Self.strings(role, of: row, in: inForce[row.key] ?? config[row.key] ?? .null).map { key, values in
        Naming(key: key, values: values, unwritten: isUnwritten ? row.key : nil)
      }
    }
  }

  private static func strings(
    _ role: FieldRole, of row: FieldDescription, in value: JSON
  ) -> [(key: String, values: [String])] {
    if row.role == role {
      let values = value.string.map { [$0] } ?? value.array?.compactMap(\.string) ?? []
      return values.isEmpty ? [] : [(row.key, values)]
    }
    let objects = value.array?.enumerated().map { ("\(row.key).\($0)", $1) } ?? [(row.key, value)]
    return objects.flatMap { path, object in
      row.members.flatMap { member in
        strings(role, of: member, in: object[member.key] ?? .null).map { ("\(path).\($0)", $1) }
      }
    }
  }

  /// The concepts that a technique erases, in the order of its fields.
  var erasedConcepts: [String] { erasing.flatMap(\.values) }

  private var erasing: [Naming] { strings(.concept).filter { $0.key.hasPrefix("erase") } }

  /// Refuses a concept that is to be erased twice.
  func refuseRepeatedConcepts(file: String) throws(ConfigurationError) {
    guard let twice = firstRepeated(erasedConcepts) else { return }
    let key = erasing.last { $0.values.contains(twice) }?.key ?? ""
    throw ConfigurationError(
      file: file, keyPath: "\(keyPath).config.\(key)", "the concept \"\(twice)\" is to be erased twice")
  }

  /// Whether its configuration can name a device.
  static func takesDevice(_ kind: ComponentKind, _ reference: JSON, _ catalogue: Catalogue) -> Bool {
    guard let name = reference["name"]?.string else { return false }
    guard let type = catalogue.entries(kind)[name] else { return reference["config"]?["device"] != nil }
    return type.table.contains { $0.role == .device }
  }

  /// This component with the settings that its file left to others taken from the base model and the technique.
  func filled(from base: BaseDeclaration, technique: Component?, file: String) throws(ConfigurationError) -> Component {
    guard let configuration else { return self }
    do throws(ConfigurationError) {
      let erased = technique?.erasedConcepts ?? []
      return Component(self, configuration: try configuration.filled(from: base, erased: erased))
    } catch {
      throw error.inside(file: file, keyPath: keyPath + ".config")
    }
  }
}

extension Configuration {
  /// This configuration with the settings that its file left to others taken from the base model and the technique.
  ///
  /// - Parameter erased: the concepts that the technique erases.
  /// - Throws: `ConfigurationError` for a setting that nobody has a value for.
  func filled(from base: BaseDeclaration, erased: [String] = []) throws(ConfigurationError) -> Self {
    var settings = encode().object ?? [:]
    for (key, filler) in leftOpen {
      let value =
        switch filler {
        case .baseModel: base.defaults[key]
        case .erasedConcepts: erased.isEmpty ? nil : ConceptNames(erased).json
        }
      if let value, !value.isNull { settings[key] = value }
      if settings[key] ?? .null == .null {
        throw ConfigurationError(keyPath: key, "it must be written here, because \(filler) does not say it")
      }
    }
    return try .parse(.object(settings))
  }
}

/// The shape in which an experiment file chooses a technique or metric.
struct ComponentReference: Configuration {
  var name = ""
  var config: [String: JSON] = [:]

  static let fields: [Field<ComponentReference>] = [
    Field("name", \.name, .notEmpty, "Which technique, attack or metric"),
    Field("config", \.config, "Its settings"),
  ]

  func validate() throws(ConfigurationError) {
    if name.isEmpty { throw ConfigurationError(keyPath: "name", "expected a name, found none") }
  }
}
