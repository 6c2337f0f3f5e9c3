public import Configuration

/// One column: a value by its name, as `lethe show` prints it.
public struct ColumnSpec: Configuration, Equatable {
  public var metric = ""
  public var label: String?
  public var digits: Int?
  public var direction: Better?
  public var interval = false

  public init() {}

  public init(
    metric: String, label: String? = nil, digits: Int? = nil, direction: Better? = nil, interval: Bool = false
  ) {
    self.interval = interval
    self.metric = metric
    self.label = label
    self.digits = digits
    self.direction = direction
  }

  public static let fields: [Field<Self>] = [
    Field("metric", \.metric, "the value's name"),
    Field("label", \.label, .notEmpty, "the column's header; by default the value's name"),
    Field("digits", \.digits, .between(0...9), "digits after the point; by default two, or one from 10 on"),
    Field("direction", \.direction, "higher, lower or none, where the metric itself does not say"),
    Field("interval", \.interval, "whether cells show the 95 % confidence interval"),
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
