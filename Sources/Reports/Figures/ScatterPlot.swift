internal import Foundation

/// A plot of one value against another, a labelled mark for each row of a table: how well a concept is erased against
/// what that costs.
public struct ScatterPlot: Equatable, Sendable {
  /// What one axis shows.
  public struct Quantity: Equatable, Sendable {
    public var name: String
    public var better: Better
    public var scale: AxisScale

    public init(name: String, better: Better, scale: AxisScale = .automatic) {
      self.name = name
      self.better = better
      self.scale = scale
    }
  }

  /// One configuration, by its means over the seeds; deviations become error bars.
  public struct Mark: Equatable, Sendable {
    public var label: String
    public var x: Double
    public var y: Double
    public var xDeviation: Double?
    public var yDeviation: Double?

    public init(label: String, x: Double, y: Double, xDeviation: Double? = nil, yDeviation: Double? = nil) {
      self.label = label
      self.x = x
      self.y = y
      self.xDeviation = xDeviation
      self.yDeviation = yDeviation
    }
  }

  /// The marks of one technique, joined by a line in the order given, which is that of the sweep.
  public struct Series: Equatable, Sendable {
    public var isReference: Bool
    public var marks: [Mark]

    public init(isReference: Bool = false, marks: [Mark]) {
      self.isReference = isReference
      self.marks = marks
    }
  }

  public var title: String
  public var x: Quantity
  public var y: Quantity
  public var series: [Series]
  /// Whether the Pareto front is drawn.
  public var showsFront: Bool

  public init(title: String, x: Quantity, y: Quantity, series: [Series], showsFront: Bool = false) {
    self.showsFront = showsFront
    self.title = title
    self.x = x
    self.y = y
    self.series = series
  }

  /// The figure, 640 by 440 units.
  public func drawing() -> Drawing {
    var drawing = Drawing(width: 640, height: 440)
    let frame = Box(left: 66, top: 46, right: 620, bottom: 384)
    let marks = series.flatMap(\.marks)
    let xAxis = Axis(
      showing: marks.flatMap { [$0.x - ($0.xDeviation ?? 0), $0.x, $0.x + ($0.xDeviation ?? 0)] }, scale: x.scale)
    let yAxis = Axis(
      showing: marks.flatMap { [$0.y - ($0.yDeviation ?? 0), $0.y, $0.y + ($0.yDeviation ?? 0)] }, scale: y.scale)
    func place(_ x: Double, _ y: Double) -> Point {
      Point(
        frame.left + xAxis.fraction(x) * (frame.right - frame.left),
        frame.bottom - yAxis.fraction(y) * (frame.bottom - frame.top))
    }

    drawAxes(xAxis, yAxis, in: frame, on: &drawing)
    let taken = drawBetterArrow(in: frame, on: &drawing)
    let heading = StrokeFont.shortened(title, width: frame.right - frame.left - taken - 24, size: 15)
    drawing.shapes.append(.text(heading, at: Point(frame.left, 30), size: 15, .ink, weight: .bold))
    var lines: [(Point, Point)] = []
    if showsFront {
      let points = frontSteps.map { place($0.x, $0.y) }
      drawing.shapes.append(.line(points, width: 1.2, .softInk, dash: [4, 3]))
      lines += zip(points, points.dropFirst())
    }
    for (one, style) in zip(series, styles) where !one.isReference {
      let points = one.marks.map { place($0.x, $0.y) }
      guard points.count > 1 else { continue }
      drawing.shapes.append(.line(points, width: 1.4, style.colour.lightened(0.5)))
      lines += zip(points, points.dropFirst())
    }
    for (one, style) in zip(series, styles) {
      for mark in one.marks { lines += drawErrorBars(of: mark, style.colour, place: place, on: &drawing) }
    }
    for (one, style) in zip(series, styles) {
      for mark in one.marks { drawing.shapes.append(style.shape.drawn(at: place(mark.x, mark.y), style.colour)) }
    }
    drawLabels(place: place, frame: frame, lines: lines, on: &drawing)
    return drawing
  }

  private func drawAxes(_ xAxis: Axis, _ yAxis: Axis, in frame: Box, on drawing: inout Drawing) {
    for tick in xAxis.ticks {
      let at = frame.left + xAxis.fraction(tick) * (frame.right - frame.left)
      drawing.shapes.append(.line([Point(at, frame.top), Point(at, frame.bottom)], width: 1, .hairline))
      drawing.shapes.append(.line([Point(at, frame.bottom), Point(at, frame.bottom + 4)], width: 1, .frame))
      drawing.shapes.append(
        .text(xAxis.text(of: tick), at: Point(at, frame.bottom + 18), size: 12, .softInk, anchor: .middle))
    }
    for tick in yAxis.ticks {
      let at = frame.bottom - yAxis.fraction(tick) * (frame.bottom - frame.top)
      drawing.shapes.append(.line([Point(frame.left, at), Point(frame.right, at)], width: 1, .hairline))
      drawing.shapes.append(.line([Point(frame.left - 4, at), Point(frame.left, at)], width: 1, .frame))
      drawing.shapes.append(
        .text(yAxis.text(of: tick), at: Point(frame.left - 8, at + 4.2), size: 12, .softInk, anchor: .end))
    }
    drawing.shapes.append(
      .line(
        [Point(frame.left, frame.top), Point(frame.left, frame.bottom), Point(frame.right, frame.bottom)], width: 1,
        .frame))
    let middle = Point((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2)
    drawing.shapes.append(
      .text(caption(x, xAxis), at: Point(middle.x, drawing.height - 16), size: 13, .ink, anchor: .middle))
    drawing.shapes.append(
      .text(caption(y, yAxis), at: Point(22, middle.y), size: 13, .ink, anchor: .middle, turned: true))
  }

  private func caption(_ quantity: Quantity, _ axis: Axis) -> String {
    let direction =
      switch quantity.better {
      case .higher: " (higher is better)"
      case .lower: " (lower is better)"
      case .none: ""
      }
    return quantity.name + direction + (axis.isLogarithmic ? ", logarithmic" : "")
  }

  /// Above the frame's right end, the word "better" and an arrow towards the corner where both values are good; the
  /// width it takes, which is none where a value has no direction.
  private func drawBetterArrow(in frame: Box, on drawing: inout Drawing) -> Double {
    guard x.better != .none, y.better != .none else { return 0 }
    let size = 12.0
    let baseline = frame.top - 12
    let towards = Point(x.better == .higher ? 1 : -1, y.better == .higher ? -1 : 1)
    let middle = Point(frame.right - 7, baseline - 4.2)
    let tip = middle + towards * 6.5
    drawing.shapes.append(.line([middle - towards * 5.5, tip - towards * 2], width: 1.6, .softInk))
    drawing.shapes.append(
      .polygon(
        [tip, tip - Point(towards.x * 8, towards.y * 2.4), tip - Point(towards.x * 2.4, towards.y * 8)],
        fill: .softInk))
    drawing.shapes.append(.text("better", at: Point(frame.right - 18, baseline), size: size, .softInk, anchor: .end))
    return 18 + StrokeFont.width(of: "better", size: size)
  }

  /// One bar for each value with a deviation; the lines that labels should not cover.
  private func drawErrorBars(
    of mark: Mark, _ colour: Colour, place: (Double, Double) -> Point, on drawing: inout Drawing
  ) -> [(Point, Point)] {
    var bars: [(Point, Point)] = []
    func bar(_ from: Point, _ to: Point, cap: Point) {
      // A bar shorter than the mark would show as specks around it.
      guard (to - from).length > 14 else { return }
      bars.append((from, to))
      for line in [[from, to], [from - cap, from + cap], [to - cap, to + cap]] {
        drawing.shapes.append(.line(line, width: 1.2, colour.lightened(0.25)))
      }
    }
    if let deviation = mark.xDeviation {
      bar(place(mark.x - deviation, mark.y), place(mark.x + deviation, mark.y), cap: Point(0, 3))
    }
    if let deviation = mark.yDeviation {
      bar(place(mark.x, mark.y - deviation), place(mark.x, mark.y + deviation), cap: Point(3, 0))
    }
    return bars
  }

  private func drawLabels(
    place: (Double, Double) -> Point, frame: Box, lines: [(Point, Point)], on drawing: inout Drawing
  ) {
    let size = 12.0
    let marks = zip(series, styles).flatMap { one, style in one.marks.map { ($0, style.colour) } }
    let points = marks.map { place($0.0.x, $0.0.y) }
    let obstacles = points.map { Box(left: $0.x - 6, top: $0.y - 6, right: $0.x + 6, bottom: $0.y + 6) }
    let placement = LabelPlacement(
      bounds: Box(left: frame.left + 3, top: frame.top - 12, right: frame.right + 14, bottom: frame.bottom - 1),
      obstacles: obstacles, lines: lines)
    let boxes = placement.place(
      zip(marks, points).map { mark, point in
        LabelPlacement.Label(anchor: point, width: StrokeFont.width(of: mark.0.label, size: size), height: size + 2)
      })
    // All leaders first: a label's halo then keeps it readable where one passes under it.
    for (point, box) in zip(points, boxes) {
      let end = box.nearest(to: point)
      guard (end - point).length > 16 else { continue }
      let along = (end - point) * (1 / (end - point).length)
      drawing.shapes.append(.line([point + along * 7, end - along * 2], width: 0.8, .frame))
    }
    for ((mark, colour), box) in zip(marks, boxes) {
      drawing.shapes.append(
        .text(mark.label, at: Point(box.left, box.bottom - 3.4), size: size, colour.darkened(0.25), halo: true))
    }
  }
}
