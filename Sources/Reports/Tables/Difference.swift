/// A value less another, of other images.
public struct Difference: Equatable, Sendable {
  public var mean: Double
  /// The 95 % confidence interval; `nil` where one of the two values has none.
  public var interval: ClosedRange<Double>?

  public init(mean: Double, interval: ClosedRange<Double>? = nil) {
    self.mean = mean
    self.interval = interval
  }

  /// The interval comes from the distances of each value to the ends of its own, as errors that are independent (Zou
  /// and Donner 2008, Statistics in Medicine 27). Values of images that start from the same noise differ by less chance
  /// than that, so that what stands out here stands out indeed.
  init(of value: ReportTable.Cell, less other: ReportTable.Cell) {
    mean = value.mean - other.mean
    guard let own = value.interval, let others = other.interval else { return }
    let below = hypotenuse(value.mean - own.lowerBound, others.upperBound - other.mean)
    let above = hypotenuse(own.upperBound - value.mean, other.mean - others.lowerBound)
    interval = mean - below...mean + above
  }

  static let below: Character = "†"
  static let above: Character = "‡"

  /// What print adds to a value that more than chance sets apart from the other, so that the interval does not hold 0.
  var mark: Character? {
    guard let interval, !interval.contains(0) else { return nil }
    return mean < 0 ? Self.below : Self.above
  }
}

private func hypotenuse(_ a: Double, _ b: Double) -> Double { (a * a + b * b).squareRoot() }
