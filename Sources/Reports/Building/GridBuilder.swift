internal import Configuration
public import Diffusion

/// Where a report finds the images that a run drew.
public struct RunImages: Sendable {
  /// The prompts that the run has images of, in the order in which it drew them.
  public var prompts: @Sendable (ReportedRun) throws -> [String]
  /// The first image that the run drew of a prompt; `nil` if it drew none.
  public var image: @Sendable (ReportedRun, String) throws -> RGBImage?

  public init(
    prompts: @escaping @Sendable (ReportedRun) throws -> [String],
    image: @escaping @Sendable (ReportedRun, String) throws -> RGBImage?
  ) {
    self.prompts = prompts
    self.image = image
  }
}

/// Makes the sheet of images that belongs to a table.
enum GridBuilder {
  /// The sheet, and what a reader must know about it.
  ///
  /// - Throws: ``ConfigurationError`` for a row that the table does not have or a seed that no row ran with; what
  ///   `images` throws.
  static func grid(
    _ spec: GridSpec, title: String, groups: [RunGroup], images: RunImages, file: String
  ) throws -> (grid: ImageGrid, notes: [String]) {
    let rows = try selected(spec, from: groups, file: file)
    let seed = try seed(spec, of: rows, file: file)
    // A row without the seed keeps its place: an empty line is seen, a missing one is not.
    let runs = rows.map { group in group.runs.first { $0.seed == seed } }
    let prompts = try spec.prompts ?? choose(spec.count, from: runs.compactMap(\.self), images)
    var lines: [ImageGrid.Row] = []
    var absent = 0
    for (group, run) in zip(rows, runs) {
      var pictures: [RGBImage?] = []
      for prompt in prompts {
        let picture = try run.flatMap { try images.image($0, prompt) }
        if picture == nil { absent += 1 }
        pictures.append(picture)
      }
      lines.append(ImageGrid.Row(label: group.label, pictures: pictures))
    }
    let width = lines.flatMap(\.pictures).compactMap { $0?.width }.max() ?? 32
    var notes = ["Images: seed \(seed); each column starts from the same noise."]
    if absent > 0 { notes.append("Images: \(absent) of \(rows.count * prompts.count) were never drawn by these runs.") }
    return (ImageGrid(title: title, columns: prompts, rows: lines, scale: ImageGrid.scale(forWidth: width)), notes)
  }

  private static func selected(_ spec: GridSpec, from groups: [RunGroup], file: String) throws -> [RunGroup] {
    guard let labels = spec.rows else { return groups }
    var rows: [RunGroup] = []
    for (index, label) in labels.enumerated() {
      guard let group = groups.first(where: { $0.label == label }) else {
        throw ConfigurationError(
          file: file, keyPath: "grid.rows.\(index)",
          "the table has no row \"\(label)\"" + suggestion(for: label, among: groups.map(\.label)))
      }
      rows.append(group)
    }
    return rows
  }

  /// The seed asked for, else the lowest that all rows have, else the lowest of all.
  private static func seed(_ spec: GridSpec, of rows: [RunGroup], file: String) throws -> Int {
    let seeds = rows.map { $0.runs.map(\.seed) }
    let all = Set(seeds.joined()).sorted()
    if let seed = spec.seed {
      guard all.contains(seed) else {
        throw ConfigurationError(
          file: file, keyPath: "grid.seed",
          "no row ran with seed \(seed); the seeds are \(all.map(String.init).joined(separator: ", "))")
      }
      return seed
    }
    return all.first { seed in seeds.allSatisfy { $0.contains(seed) } } ?? all.first ?? 0
  }

  /// Prompts that all runs have images of, spread evenly over the order in which the first run drew them, so that a few
  /// columns show many concepts.
  private static func choose(_ count: Int, from runs: [ReportedRun], _ images: RunImages) throws -> [String] {
    guard let first = runs.first else { return [] }
    var shared: [String] = []
    let others = try runs.dropFirst().map { Set(try images.prompts($0)) }
    var seen: Set<String> = []
    for prompt in try images.prompts(first) where seen.insert(prompt).inserted {
      if others.allSatisfy({ $0.contains(prompt) }) { shared.append(prompt) }
    }
    guard shared.count > count else { return shared }
    return (0..<count).map { shared[(2 * $0 + 1) * shared.count / (2 * count)] }
  }
}
