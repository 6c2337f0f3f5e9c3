public import Configuration

/// What a researcher asks for in `experiments/tables/NAME.json`: which runs, which values, which figures.
///
/// docs/reports.md describes the format with examples.
public struct TableSpec: Equatable, Sendable {
  public var title: String
  /// The header of the column of labels.
  public var corner: String
  /// What becomes rows, in this order; a run that several selections match belongs to the first.
  public var runs: [RunSelection]
  public var columns: [ColumnSpec]
  public var scatter: ScatterSpec?
  public var grid: GridSpec?
  /// The folder for the report's files, relative to the specification; by default `reports/NAME` beside the store.
  public var outputFolder: String?
  /// The file the specification was read from, for errors found later.
  public var file: String

  public init(
    title: String, corner: String = "technique", runs: [RunSelection], columns: [ColumnSpec],
    scatter: ScatterSpec? = nil, grid: GridSpec? = nil, outputFolder: String? = nil, file: String = "table"
  ) {
    self.title = title
    self.corner = corner
    self.runs = runs
    self.columns = columns
    self.scatter = scatter
    self.grid = grid
    self.outputFolder = outputFolder
    self.file = file
  }

  private static let keys = ["title", "corner", "runs", "columns", "scatter", "grid", "output_dir"]

  /// Reads a specification, refusing what it does not understand by name.
  public static func parse(_ json: JSON, file: String) throws(ConfigurationError) -> TableSpec {
    guard let members = json.object else {
      throw ConfigurationError(file: file, "expected a table specification (an object), found \(json.kind)")
    }
    for key in members.keys.sorted() where !keys.contains(key) {
      throw ConfigurationError(file: file, keyPath: key, "unknown key" + suggestion(for: key, among: keys))
    }
    func text(_ key: String) throws(ConfigurationError) -> String? {
      guard let value = members[key] else { return nil }
      guard let text = value.string, !text.isEmpty else {
        throw ConfigurationError(file: file, keyPath: key, "expected a string, not empty, found \(value.kind)")
      }
      return text
    }
    let runs = try list(members["runs"], key: "runs", of: "selections of runs", file: file) {
      json, keyPath throws(ConfigurationError) in try RunSelection.parse(json, file: file, keyPath: keyPath)
    }
    let columns = try list(members["columns"], key: "columns", of: "columns", file: file) {
      json, keyPath throws(ConfigurationError) in
      if let metric = json.string { return ColumnSpec(metric: metric) }
      return try ColumnSpec.parse(json, file: file, keyPath: keyPath)
    }
    let metrics = columns.map(\.metric)
    var scatter: ScatterSpec?
    if let json = members["scatter"] {
      scatter = try ScatterSpec.parse(json, file: file, keyPath: "scatter")
      for (key, metric) in [("x", scatter?.x ?? ""), ("y", scatter?.y ?? "")] where !metrics.contains(metric) {
        throw ConfigurationError(
          file: file, keyPath: "scatter.\(key)",
          "no column shows \"\(metric)\"" + suggestion(for: metric, among: metrics))
      }
    }
    var grid: GridSpec?
    if let json = members["grid"] { grid = try GridSpec.parse(json, file: file, keyPath: "grid") }
    let name = file.split(separator: "/").last.map(String.init) ?? file
    return TableSpec(
      title: try text("title") ?? String(name.split(separator: ".").first ?? "Table"),
      corner: try text("corner") ?? "technique", runs: runs, columns: columns, scatter: scatter, grid: grid,
      outputFolder: try text("output_dir"), file: file)
  }

  private static func list<Element>(
    _ json: JSON?, key: String, of things: String, file: String,
    _ read: (JSON, String) throws(ConfigurationError) -> Element
  ) throws(ConfigurationError) -> [Element] {
    guard let json else { throw ConfigurationError(file: file, keyPath: key, "missing; expected a list of \(things)") }
    guard let values = json.array, !values.isEmpty else {
      throw ConfigurationError(file: file, keyPath: key, "expected a list of \(things), not empty, found \(json.kind)")
    }
    var elements: [Element] = []
    for (index, value) in values.enumerated() { elements.append(try read(value, "\(key).\(index)")) }
    return elements
  }
}

/// Which runs become rows: those that have all of what is written here.
public struct RunSelection: Configuration, Equatable {
  public var experiment: String?
  public var technique: String?
  public var config: String?
  public var tag: String?
  public var values = KeyPathValues()
  public var label: String?
  public var reference: Bool?

  public init() {}

  public static let fields: [Field<Self>] = [
    Field("experiment", \.experiment, .notEmpty, "the name of an experiment, as `lethe ls` shows it"),
    Field("technique", \.technique, .notEmpty, "the name of a technique"),
    Field("config", \.config, .notEmpty, "the beginning of a config hash, with or without the seed in it"),
    Field("tag", \.tag, .notEmpty, "one of the run's tags"),
    Field("where", \.values, "key paths of the experiment with the value, or the list of values, that each must have"),
    Field("label", \.label, .notEmpty, "the row's label; {alpha} stands for the value of that setting"),
    Field("reference", \.reference, .anything, "shown for comparison: does not compete for the best value"),
  ]

  public func validate() throws(ConfigurationError) {
    if experiment == nil, technique == nil, config == nil, tag == nil, values.settings.isEmpty {
      throw ConfigurationError("selects every run; give at least one of experiment, technique, config, tag, where")
    }
  }

  /// The selection in words, for notes and errors.
  var words: String {
    var parts: [String] = []
    if let experiment { parts.append("experiment \(experiment)") }
    if let technique { parts.append("technique \(technique)") }
    if let config { parts.append("config \(config)") }
    if let tag { parts.append("tag \(tag)") }
    for setting in values.settings {
      parts.append(setting.keyPath + " = " + setting.values.map(plain).joined(separator: " or "))
    }
    return parts.joined(separator: ", ")
  }

  func matches(_ run: ReportedRun) -> Bool {
    if let experiment, run.experiment != experiment { return false }
    if let technique, run.technique != technique { return false }
    if let config = config?.lowercased(), !run.configHash.hasPrefix(config), !run.groupHash.hasPrefix(config) {
      return false
    }
    if let tag, !run.tags.contains(tag) { return false }
    return values.settings.allSatisfy { setting in
      guard let value = run.configuration.value(at: setting.keyPath) else { return false }
      return setting.values.contains(value)
    }
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

/// One column: a value by its name, as `lethe show` prints it.
public struct ColumnSpec: Configuration, Equatable {
  public var metric = ""
  public var label: String?
  public var digits: Int?
  public var direction: Better?

  public init() {}

  public init(metric: String, label: String? = nil, digits: Int? = nil, direction: Better? = nil) {
    self.metric = metric
    self.label = label
    self.digits = digits
    self.direction = direction
  }

  public static let fields: [Field<Self>] = [
    Field("metric", \.metric, .anything, "the value's name"),
    Field("label", \.label, .notEmpty, "the column's header; by default the value's name"),
    Field("digits", \.digits, .between(0...9), "digits after the point; by default two, or one from 10 on"),
    Field("direction", \.direction, .anything, "higher, lower or none, where the metric itself does not say"),
  ]

  public func validate() throws(ConfigurationError) {
    if metric.isEmpty { throw ConfigurationError(keyPath: "metric", "missing; expected the name of a value") }
  }
}

extension Better: ConfigurationValue {}
extension AxisScale: ConfigurationValue {}

/// The plot of one column against another.
public struct ScatterSpec: Configuration, Equatable {
  public var x = "fid"
  public var y = "cer"
  public var xScale = AxisScale.automatic
  public var yScale = AxisScale.automatic

  public init() {}

  public static let fields: [Field<Self>] = [
    Field("x", \.x, .notEmpty, "the column on the horizontal axis"),
    Field("y", \.y, .notEmpty, "the column on the vertical axis"),
    Field("x_scale", \.xScale, .anything, "automatic is logarithmic over more than a factor of fifteen"),
    Field("y_scale", \.yScale, .anything, "automatic is logarithmic over more than a factor of fifteen"),
  ]
}

/// The sheet of images.
public struct GridSpec: Configuration, Equatable {
  public var prompts: [String]?
  public var count = 6
  public var seed: Int?
  public var rows: [String]?

  public init() {}

  public static let fields: [Field<Self>] = [
    Field("prompts", \.prompts, .notEmpty, "the columns; by default `count` prompts that every row has images of"),
    Field("count", \.count, .between(1...40), "how many prompts to choose where none are given"),
    Field("seed", \.seed, .anything, "whose images to show; by default the lowest seed of all rows"),
    Field("rows", \.rows, .notEmpty, "labels of the table's rows to show; by default all"),
  ]
}

/// A value as it stands in a label: a string without its quotes.
func plain(_ json: JSON) -> String { json.string ?? json.canonical() }
