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
  /// `table.md` and `table.csv`, and where the specification asks for them `runs.csv`, `scatter.svg`, `scatter.png`
  /// (`scatter_2.svg` and so on for further plots) and `grid.png`. With an output name such as `ssd` they are `ssd.md`,
  /// `ssd.csv`, `ssd_runs.csv` and so on.
  public let files: [File]

  /// - Parameters:
  ///   - runs: all runs of the store; the specification selects among them.
  ///   - points: what the experiment files spell out that the specification names, by the name it gives them.
  ///   - images: the images of these runs, for the grid.
  ///   - remarks: the text of the file that the specification names, Markdown that stands under the table
  /// - Throws: ``ConfigurationError`` where the specification does not fit the runs; what `images` throws.
  public init(
    _ spec: TableSpec, runs: [ReportedRun], points: [String: [ExpectedPoint]] = [:], images: RunImages,
    remarks: String? = nil
  ) throws {
    let builder = try TableBuilder(spec, runs: runs, points: points)
    var table = builder.table
    var figures: [Markdown.Figure] = []
    var files: [File] = []
    for (index, scatter) in spec.scatters.enumerated() {
      guard let result = PlotBuilder.plot(scatter, of: table) else {
        let (y, x) = (spec.header(of: scatter.y), spec.header(of: scatter.x))
        table.notes.append("There is no plot of \(y) against \(x): no row has both values.")
        continue
      }
      let name = index == 0 ? "scatter" : "scatter_\(index + 1)"
      let caption = "\(result.columns.y.header) against \(result.columns.x.header)"
      let drawing = result.plot.drawing()
      files.append(
        File(name: spec.fileName(name, "svg"), bytes: Array(try SVG.document(drawing, title: table.title).utf8)))
      files.append(File(name: spec.fileName(name, "png"), bytes: try PNG.encode(Raster.image(of: drawing))))
      figures.append(Markdown.Figure(caption: caption, path: spec.fileName(name, "svg")))
      if !result.left.isEmpty {
        table.notes.append(
          "Not in the plot of \(caption), for want of one of its values: \(result.left.joined(separator: "; ")).")
      }
    }
    if let grid = spec.grid {
      let result = try GridBuilder.grid(
        grid, title: table.title, groups: builder.groups, images: images, file: spec.file)
      if result.grid.columns.isEmpty {
        table.notes.append("Images: the rows have no prompt in common that all of them drew, so there is no grid.")
      } else {
        files.append(File(name: spec.fileName("grid", "png"), bytes: try PNG.encode(result.grid.image())))
        figures.append(
          Markdown.Figure(
            caption: "One row for each \(table.corner), one column for each prompt",
            path: spec.fileName("grid", "png")))
        table.notes += result.notes
      }
    }
    let markdown = Markdown.document(table, figures: figures, remarks: remarks, runIDs: spec.runIDs)
    var tables = [
      File(name: spec.fileName(nil, "md"), bytes: Array(markdown.utf8)),
      File(name: spec.fileName(nil, "csv"), bytes: Array(CSV.document(table, runIDs: spec.runIDs).utf8)),
    ]
    if spec.runIDs == .beside {
      tables.append(File(name: spec.fileName("runs", "csv"), bytes: Array(CSV.runs(of: table).utf8)))
    }
    self.table = table
    self.files = tables + files
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

extension TableSpec {
  /// What the table calls a value.
  fileprivate func header(of metric: String) -> String { columns.first { $0.metric == metric }?.label ?? metric }

  /// The name of a file of the report.
  ///
  /// - Parameter part: what it holds; nil for the table itself
  fileprivate func fileName(_ part: String?, _ ending: String) -> String {
    let name = outputName.map { [$0, part].compactMap(\.self).joined(separator: "_") } ?? part ?? "table"
    return "\(name).\(ending)"
  }
}
