public import Configuration

/// One column: a value by its name, as `lethe show` prints it.
public struct ColumnSpec: Configuration, Equatable {
  public var metric = ""
  public var label: String?
  public var digits: Int?
  public var direction: Better?
  public var interval = false
  public var control: String?

  public init() {}

  public init(
    metric: String, label: String? = nil, digits: Int? = nil, direction: Better? = nil, interval: Bool = false,
    control: String? = nil
  ) {
    self.metric = metric
    self.label = label
    self.digits = digits
    self.direction = direction
    self.interval = interval
    self.control = control
  }

  public static let fields: [Field<Self>] = [
    Field("metric", \.metric, "the value's name"),
    Field("label", \.label, .notEmpty, "the column's header; by default the value's name"),
    Field("digits", \.digits, .between(0...9), "digits after the point; by default two, or one from 10 on"),
    Field("direction", \.direction, "higher, lower or none, where the metric itself does not say"),
    Field("interval", \.interval, "whether cells show the 95 % confidence interval"),
    Field(
      "control", \.control, .notEmpty,
      "the column that this one is held against: cells that more than chance sets apart from it get a mark"),
  ]

  public func validate() throws(ConfigurationError) {
    if metric.isEmpty { throw ConfigurationError(keyPath: "metric", "missing; expected the name of a value") }
  }
}

/// One row less another, under the table.
public struct DifferenceSpec: Configuration, Equatable {
  public var row = ""
  public var less = ""

  public init() {}

  public static let fields: [Field<Self>] = [
    Field("row", \.row, .notEmpty, "the label of a row"),
    Field("less", \.less, .notEmpty, "the label of the row that is subtracted from it"),
  ]
}

extension Better: ConfigurationValue {}
extension AxisScale: ConfigurationValue {}

/// The plot of one column against another.
public struct ScatterSpec: Configuration, Equatable {
  public var x = "fid"
  public var y = "cer"
  public var xScale = AxisScale.automatic
  public var yScale = AxisScale.automatic
  public var front = false

  public init() {}

  public static let fields: [Field<Self>] = [
    Field("x", \.x, .notEmpty, "the column on the horizontal axis"),
    Field("y", \.y, .notEmpty, "the column on the vertical axis"),
    Field("x_scale", \.xScale, "automatic is logarithmic over more than a factor of fifteen"),
    Field("y_scale", \.yScale, "automatic is logarithmic over more than a factor of fifteen"),
    Field("front", \.front, "whether the Pareto front is drawn: the rows that no other surpasses in both"),
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
    Field("seed", \.seed, "whose images to show; by default the lowest seed of all rows"),
    Field("rows", \.rows, .notEmpty, "labels of the table's rows to show; by default all"),
  ]
}
