public import Configuration

/// What a researcher asks for in `experiments/tables/NAME.json`: which runs, which values, which figures.
///
/// docs/reports.md describes the format with examples.
public struct TableSpec: Equatable, Sendable {
  /// Ids differ from one execution to the next. A table that is to come out the same when everything is run again has
  /// them beside it.
  public enum RunIDs: String, CaseIterable, ConfigurationValue {
    /// Under the table and in its CSV file.
    case below
    /// In a file of their own.
    case beside
  }

  public var title: String
  /// The header of the column of labels.
  public var corner: String
  /// What becomes rows, in this order; a run that several selections match belongs to the first.
  public var runs: [RunSelection]
  public var columns: [ColumnSpec]
  /// Rows less others, shown under the table.
  public var differences: [DifferenceSpec]
  public var scatters: [ScatterSpec]
  public var grid: GridSpec?
  /// The folder for the report's files, relative to the specification; by default `reports/NAME` beside the store.
  public var outputFolder: String?
  /// What the names of the report's files begin with; by default each is named after what it holds.
  public var outputName: String?
  /// A Markdown file, relative to the specification, that stands under the table.
  public var remarks: String?
  /// Where the ids of the runs behind the rows stand.
  public var runIDs: RunIDs
  /// The file the specification was read from, for errors found later.
  public var file: String

  public init(
    title: String, corner: String = "technique", runs: [RunSelection], columns: [ColumnSpec],
    differences: [DifferenceSpec] = [], scatters: [ScatterSpec] = [], grid: GridSpec? = nil,
    outputFolder: String? = nil, outputName: String? = nil, remarks: String? = nil, runIDs: RunIDs = .below,
    file: String = "table"
  ) {
    self.title = title
    self.corner = corner
    self.runs = runs
    self.columns = columns
    self.differences = differences
    self.scatters = scatters
    self.grid = grid
    self.outputFolder = outputFolder
    self.outputName = outputName
    self.remarks = remarks
    self.runIDs = runIDs
    self.file = file
  }

  private static let keys = [
    "title", "corner", "runs", "columns", "differences", "scatter", "grid", "output_dir", "output_name", "remarks",
    "run_ids",
  ]

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
    for (index, metric) in metrics.enumerated() where metrics[..<index].contains(metric) {
      throw ConfigurationError(file: file, keyPath: "columns.\(index)", "the column \"\(metric)\" appears twice")
    }
    for (index, column) in columns.enumerated() {
      guard let control = column.control else { continue }
      let place = "columns.\(index).control"
      guard let other = columns.first(where: { $0.metric == control }) else {
        throw ConfigurationError(
          file: file, keyPath: place, "no column shows \"\(control)\"" + suggestion(for: control, among: metrics))
      }
      guard column.interval, other.interval else {
        throw ConfigurationError(
          file: file, keyPath: place,
          "a comparison needs \"interval\": true, here and in the column \"\(control)\"")
      }
    }
    let differences =
      try members["differences"].map { json throws(ConfigurationError) in
        try list(json, key: "differences", of: "differences of rows", file: file) {
          json, keyPath throws(ConfigurationError) in try DifferenceSpec.parse(json, file: file, keyPath: keyPath)
        }
      } ?? []
    func plot(_ json: JSON, _ keyPath: String) throws(ConfigurationError) -> ScatterSpec {
      let plot = try ScatterSpec.parse(json, file: file, keyPath: keyPath)
      for (key, metric) in [("x", plot.x), ("y", plot.y)] where !metrics.contains(metric) {
        throw ConfigurationError(
          file: file, keyPath: "\(keyPath).\(key)",
          "no column shows \"\(metric)\"" + suggestion(for: metric, among: metrics))
      }
      return plot
    }
    let scatters =
      try members["scatter"].map { json throws(ConfigurationError) in
        json.array == nil
          ? [try plot(json, "scatter")] : try list(json, key: "scatter", of: "plots", file: file, plot)
      } ?? []
    var grid: GridSpec?
    if let json = members["grid"] { grid = try GridSpec.parse(json, file: file, keyPath: "grid") }
    var runIDs = RunIDs.below
    if let text = try text("run_ids") {
      guard let known = RunIDs(rawValue: text) else {
        throw ConfigurationError(
          file: file, keyPath: "run_ids",
          "expected \"below\" or \"beside\", found \"\(text)\""
            + suggestion(for: text, among: RunIDs.allCases.map(\.rawValue)))
      }
      runIDs = known
    }
    let outputName = try text("output_name")
    if let outputName, outputName.contains("/") {
      throw ConfigurationError(
        file: file, keyPath: "output_name",
        "\"\(outputName)\" has a slash; output_dir says which folder the files go to")
    }
    let name = file.split(separator: "/").last.map(String.init) ?? file
    return TableSpec(
      title: try text("title") ?? String(name.split(separator: ".").first ?? "Table"),
      corner: try text("corner") ?? "technique", runs: runs, columns: columns, differences: differences,
      scatters: scatters, grid: grid, outputFolder: try text("output_dir"), outputName: outputName,
      remarks: try text("remarks"), runIDs: runIDs, file: file)
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
