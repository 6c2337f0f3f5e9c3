/// Which way is better for a value that stands in a column.
public enum Better: String, CaseIterable, Sendable {
  case higher, lower, none

  /// What a header adds to a column's name.
  public var arrow: String {
    switch self {
    case .higher: "↑"
    case .lower: "↓"
    case .none: ""
    }
  }
}

/// A finished table: what the writers for Markdown, CSV and the terminal print, with nothing left to decide.
public struct ReportTable: Equatable, Sendable {
  public var title: String
  /// The header of the column that holds the rows' labels.
  public var corner: String
  public var columns: [Column]
  public var rows: [Row]
  /// Rows less others, under the table: each cell a difference with its interval.
  public var differences: [Row]
  /// Whole sentences under the table: how each column was measured, what is missing and why.
  public var notes: [String]

  public init(
    title: String, corner: String = "technique", columns: [Column], rows: [Row], differences: [Row] = [],
    notes: [String] = []
  ) {
    self.title = title
    self.corner = corner
    self.columns = columns
    self.rows = rows
    self.differences = differences
    self.notes = notes
  }

  /// A column of values that were all measured in one way.
  public struct Column: Equatable, Sendable {
    /// The name that the CSV file uses; unique in the table.
    public var key: String
    public var header: String
    public var unit: String
    public var better: Better
    /// Digits after the decimal point in print; the CSV file has all of them.
    public var digits: Int

    public init(key: String, header: String, unit: String = "", better: Better = .none, digits: Int = 2) {
      self.key = key
      self.header = header
      self.unit = unit
      self.better = better
      self.digits = digits
    }

    /// The header with the arrow of its direction: "FID ↓".
    public var heading: String { better == .none ? header : "\(header) \(better.arrow)" }
  }

  /// One line of the table: one configuration, over all its seeds.
  public struct Row: Equatable, Sendable {
    public var label: String
    public var technique: String
    /// The hash of the configuration without its seed; empty for a row that is not one configuration.
    public var configuration: String
    /// A row to compare with, such as the unedited model: it does not compete for the best value.
    public var isReference: Bool
    /// One cell for each column; `nil` where no run of the row has the value.
    public var cells: [Cell?]
    /// The runs behind the row, in the order of their seeds.
    public var runs: [RunReference]

    public init(
      label: String, technique: String = "", configuration: String = "", isReference: Bool = false, cells: [Cell?],
      runs: [RunReference] = []
    ) {
      self.label = label
      self.technique = technique
      self.configuration = configuration
      self.isReference = isReference
      self.cells = cells
      self.runs = runs
    }
  }

  /// A run by its id and the seed it ran with.
  public struct RunReference: Equatable, Sendable {
    public var id: String
    public var seed: Int

    public init(id: String, seed: Int) {
      self.id = id
      self.seed = seed
    }

    /// The first twelve digits of the id, enough to find the run by.
    public var shortID: String { String(id.prefix(12)) }
  }

  /// What the seeds of one row gave for one column.
  public struct Cell: Equatable, Sendable {
    public var mean: Double
    /// The sample standard deviation; `nil` for a single value, which has none.
    public var deviation: Double?
    /// The number of seeds that the mean is over.
    public var count: Int
    public var isBest: Bool
    /// The 95 % confidence interval, where the column asks for it.
    public var interval: ClosedRange<Double>?
    /// How far the value lies from its control, where the column has one.
    public var fromControl: Difference?

    public init(
      mean: Double, deviation: Double? = nil, count: Int = 1, isBest: Bool = false,
      interval: ClosedRange<Double>? = nil, fromControl: Difference? = nil
    ) {
      self.mean = mean
      self.deviation = deviation
      self.count = count
      self.isBest = isBest
      self.interval = interval
      self.fromControl = fromControl
    }
  }
}

extension ReportTable {
  /// The number of seeds that most cells are over; a cell over another number says so in print.
  var commonCount: Int {
    var frequency: [Int: Int] = [:]
    for row in rows { for cell in row.cells { if let cell { frequency[cell.count, default: 0] += 1 } } }
    return frequency.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key ?? 1
  }

  /// A cell as people read it: `0.93`, `0.93 ± 0.02`, and `0.93 ± 0.02 (n = 2)` where the number of seeds is unusual;
  /// `0.93 [0.88, 0.96]` where the column asks for intervals, `0.93 [0.88, 0.96] †` where it lies below its control.
  func text(of cell: Cell?, in column: Column) -> String {
    guard let cell else { return "–" }
    var text = fixed(cell.mean, digits: column.digits)
    if let deviation = cell.deviation { text += " ± " + fixed(deviation, digits: column.digits) }
    if let interval = cell.interval {
      let ends = [interval.lowerBound, interval.upperBound].map { fixed($0, digits: column.digits) }
      text += " [\(ends.joined(separator: ", "))]"
    }
    if let mark = cell.fromControl?.mark { text += " \(mark)" }
    if cell.count != commonCount { text += " (n = \(cell.count))" }
    return text
  }

  /// What stands in the lines of the table: its rows, and under them the differences, which show their sign.
  var lines: [(row: Row, texts: [String])] {
    rows.map { row in (row, zip(row.cells, columns).map { text(of: $0, in: $1) }) }
      + differences.map { row in
        let texts = zip(row.cells, columns).map { cell, column in
          (cell.map { $0.mean > 0 } == true ? "+" : "") + text(of: cell, in: column)
        }
        return (row, texts)
      }
  }

  /// The footnote that ties each row to its runs: "SSD, alpha = 5: 0f3a91c27b44 (seed 0), 77be0210c9d1 (seed 1)".
  var footnote: [String] {
    rows.filter { !$0.runs.isEmpty }.map { row in
      row.label + ": " + row.runs.map { "\($0.shortID) (seed \($0.seed))" }.joined(separator: ", ")
    }
  }

  /// What the marks in the table mean, if it has any.
  var legend: String? {
    var parts: [String] = []
    if rows.contains(where: { $0.cells.contains { $0?.deviation != nil } }) {
      // Where one seed is the rule, the cells over more say themselves over how many.
      let seeds = commonCount == 1 ? "the n" : "\(commonCount)"
      parts.append("Mean ± sample standard deviation over \(seeds) seeds.")
    }
    if rows.contains(where: { $0.cells.contains { $0?.interval != nil } }) {
      parts.append("95 % confidence intervals over images in brackets.")
    }
    let marks = Set(rows.flatMap(\.cells).compactMap { $0?.fromControl?.mark })
    for (mark, side) in [(Difference.below, "below"), (Difference.above, "above")] where marks.contains(mark) {
      parts.append("\(mark) lies \(side) its control by more than chance.")
    }
    if rows.contains(where: { $0.cells.contains { $0?.isBest == true } }) {
      let references = rows.filter(\.isReference).map(\.label)
      switch references.count {
      case 0: parts.append("Best value of each column in bold.")
      case 1: parts.append("Best value of each column in bold; \(references[0]) is the reference and does not compete.")
      default:
        parts.append(
          "Best value of each column in bold; \(references.joined(separator: " and ")) are references and do not "
            + "compete.")
      }
    }
    return parts.isEmpty ? nil : parts.joined(separator: " ")
  }
}
