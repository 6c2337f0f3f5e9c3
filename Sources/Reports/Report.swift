public import Configuration
internal import Diffusion

/// A report, made from runs and not yet written: the table and the files that go with it.
public struct Report: Sendable {
  /// One file of a report.
  public struct File: Equatable, Sendable {
    public let name: String
    public let bytes: [UInt8]
  }

  public let table: ReportTable
  /// `table.md` and `table.csv`, and where the specification asks for them `scatter.svg`, `scatter.png`, `grid.png`.
  public let files: [File]

  /// - Parameters:
  ///   - runs: all runs of the store; the specification selects among them.
  ///   - points: what the experiment files spell out that the specification names, by the name it gives them.
  ///   - images: the images of these runs, for the grid.
  /// - Throws: ``ConfigurationError`` where the specification does not fit the runs; what `images` throws.
  public init(_ spec: TableSpec, runs: [ReportedRun], points: [String: [ExpectedPoint]] = [:], images: RunImages) throws {
    let builder = try TableBuilder(spec, runs: runs, points: points)
    var table = builder.table
    var figures: [Markdown.Figure] = []
    var files: [File] = []
    if let scatter = spec.scatter, let result = PlotBuilder.plot(scatter, of: table) {
      let drawing = result.plot.drawing()
      files.append(File(name: "scatter.svg", bytes: Array(try SVG.document(drawing, title: table.title).utf8)))
      files.append(File(name: "scatter.png", bytes: try PNG.encode(Raster.image(of: drawing))))
      figures.append(
        Markdown.Figure(caption: "\(result.columns.y.header) against \(result.columns.x.header)", path: "scatter.svg"))
      if !result.left.isEmpty {
        table.notes.append("Not in the plot, for want of one of its values: \(result.left.joined(separator: "; ")).")
      }
    }
    if let grid = spec.grid {
      let result = try GridBuilder.grid(
        grid, title: table.title, groups: builder.groups, images: images, file: spec.file)
      if result.grid.columns.isEmpty {
        table.notes.append("Images: the rows have no prompt in common that all of them drew, so there is no grid.")
      } else {
        files.append(File(name: "grid.png", bytes: try PNG.encode(result.grid.image())))
        figures.append(Markdown.Figure(caption: "One row for each \(table.corner), one column for each prompt", path: "grid.png"))
        table.notes += result.notes
      }
    }
    files.insert(File(name: "table.csv", bytes: Array(CSV.document(table).utf8)), at: 0)
    files.insert(File(name: "table.md", bytes: Array(Markdown.document(table, figures: figures).utf8)), at: 0)
    self.table = table
    self.files = files
  }

  /// Writes the files into a folder, made where it is missing; each replaces its predecessor at once and whole.
  ///
  /// - Returns: the paths written.
  /// - Throws: `FileError` where a file cannot be written.
  @discardableResult
  public func write(to folder: String) throws(FileError) -> [String] {
    try WholeFile.makeFolder(folder)
    var paths: [String] = []
    for file in files {
      let path = folder + "/" + file.name
      try WholeFile.write(file.bytes, to: path)
      paths.append(path)
    }
    return paths
  }
}
