public import Configuration

/// Which runs become rows: those that have all of what is written here.
public struct RunSelection: Configuration, Equatable {
  public var file: String?
  public var overlays: [String]?
  public var experiment: String?
  public var technique: String?
  public var config: String?
  public var tag: String?
  public var values = KeyPathValues()
  public var label: String?
  public var reference: Bool?

  public init() {}

  public static let fields: [Field<Self>] = [
    Field("file", \.file, .notEmpty, "an experiment file: exactly the points that it spells out now, with any seed"),
    Field("overlays", \.overlays, .notEmpty, "the overlays that the file was run with, in their order"),
    Field("experiment", \.experiment, .notEmpty, "the name of an experiment, as `lethe ls` shows it"),
    Field("technique", \.technique, .notEmpty, "the name of a technique"),
    Field("config", \.config, .notEmpty, "the beginning of a config hash, with or without the seed in it"),
    Field("tag", \.tag, .notEmpty, "one of the run's tags"),
    Field("where", \.values, "key paths of the experiment with the value, or the list of values, that each must have"),
    Field("label", \.label, .notEmpty, "the row's label; {alpha} stands for the value of that setting"),
    Field("reference", \.reference, "shown for comparison: does not compete for the best value"),
  ]

  public func validate() throws(ConfigurationError) {
    if file == nil, experiment == nil, technique == nil, config == nil, tag == nil, values.settings.isEmpty {
      throw ConfigurationError(
        "selects every run; give at least one of file, experiment, technique, config, tag, where")
    }
    if file == nil, overlays != nil {
      throw ConfigurationError(keyPath: "overlays", "there is no \"file\" for them to lie over")
    }
  }

  /// The file and its overlays, by which the points that they spell out are found.
  var source: String? { file.map { ([$0] + (overlays ?? [])).joined(separator: " with ") } }

  /// The selection in words, for notes and errors.
  var words: String {
    var parts: [String] = []
    if let source { parts.append("file \(source)") }
    if let experiment { parts.append("experiment \(experiment)") }
    if let technique { parts.append("technique \(technique)") }
    if let config { parts.append("config \(config)") }
    if let tag { parts.append("tag \(tag)") }
    for setting in values.settings {
      parts.append(setting.keyPath + " = " + setting.values.map(plain).joined(separator: " or "))
    }
    return parts.joined(separator: ", ")
  }

  /// - Parameter points: what the file spells out, where the selection names one.
  func matches(_ run: ReportedRun, points: [ExpectedPoint]) -> Bool {
    if file != nil, !points.contains(where: { $0.groupHash == run.groupHash }) { return false }
    if let experiment, run.experiment != experiment { return false }
    if let tag, !run.tags.contains(tag) { return false }
    return asks(for: run.technique, [run.configHash, run.groupHash], run.configuration)
  }

  /// Whether the selection wants a run of this point of its file: what stands beside the file may leave the point out.
  func expects(_ point: ExpectedPoint) -> Bool {
    asks(for: point.technique, [point.configHash, point.groupHash], point.configuration)
  }

  /// Whether technique, hashes and settings are among those that the selection names.
  private func asks(for technique: String, _ hashes: [String], _ configuration: JSON) -> Bool {
    if let wanted = self.technique, technique != wanted { return false }
    if let config = config?.lowercased(), !hashes.contains(where: { $0.hasPrefix(config) }) { return false }
    return values.settings.allSatisfy { setting in
      guard let value = configuration.value(at: setting.keyPath) else { return false }
      return setting.values.contains(value)
    }
  }
}

/// A point that an experiment file spells out, whether or not it was ever run.
public struct ExpectedPoint: Equatable, Sendable {
  /// As in ``ReportedRun``.
  public var technique: String
  public var configHash: String
  public var groupHash: String
  public var configuration: JSON
  /// What sets the point apart from the others of its file: "alpha = 5, seed 1".
  public var words: String

  public init(technique: String, configHash: String, groupHash: String, configuration: JSON, words: String) {
    self.technique = technique
    self.configHash = configHash
    self.groupHash = groupHash
    self.configuration = configuration
    self.words = words
  }
}

/// Values that settings may have, by key path: `{"technique.config.alpha": [1, 5, 20]}`.
public struct KeyPathValues: ConfigurationValue {
  public struct Setting: Equatable, Sendable {
    public var keyPath: String
    public var values: [JSON]
  }

  /// In the order of the key paths.
  public var settings: [Setting] = []

  public init() {}

  public static let typeName = "object of key paths"

  public init?(_ json: JSON) {
    guard let members = json.object else { return nil }
    settings = members.sorted { $0.key < $1.key }.map { Setting(keyPath: $0.key, values: $0.value.array ?? [$0.value]) }
  }

  public var json: JSON {
    .object(Dictionary(settings.map { ($0.keyPath, JSON.array($0.values)) }, uniquingKeysWith: { first, _ in first }))
  }

  /// Every combination of the values: the points that a report expects runs for.
  var points: [[(keyPath: String, value: JSON)]] {
    settings.reduce([[]]) { points, setting in
      points.flatMap { point in setting.values.map { point + [(setting.keyPath, $0)] } }
    }
  }
}

/// A value as it stands in a label: a string without its quotes.
func plain(_ json: JSON) -> String { json.string ?? json.canonical() }
