internal import Foundation

/// The mean of some values and how much they scatter.
public struct Summary: Equatable, Sendable {
  public let mean: Double
  /// The sample standard deviation (divided by n - 1); `nil` for one value.
  public let deviation: Double?
  public let count: Int

  /// `nil` for no values.
  public init?(_ values: [Double]) {
    guard !values.isEmpty else { return nil }
    count = values.count
    // Two passes: the mean first, so that nearly equal values do not cancel in a difference of large sums.
    let mean = values.reduce(0, +) / Double(values.count)
    self.mean = mean
    guard values.count > 1 else {
      deviation = nil
      return
    }
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    deviation = (squares / Double(values.count - 1)).squareRoot()
  }
}

extension Summary {
  /// The interval of the mean of values that each have one: by recovery of the variance from the distances of their
  /// ends (Zou and Donner 2008, Statistics in Medicine 27). Of a single value it is its own.
  ///
  /// - Returns: `nil` where a value has none, and for no values
  static func interval(_ values: [(value: Double?, interval: ClosedRange<Double>?)]) -> ClosedRange<Double>? {
    guard let all = Summary(values.compactMap(\.value)), all.count == values.count else { return nil }
    if values.count == 1 { return values[0].interval }
    var (below, above) = (0.0, 0.0)
    for case (let value?, let interval) in values {
      guard let interval else { return nil }
      below += (value - interval.lowerBound) * (value - interval.lowerBound)
      above += (interval.upperBound - value) * (interval.upperBound - value)
    }
    let count = Double(values.count)
    return all.mean - below.squareRoot() / count...all.mean + above.squareRoot() / count
  }
}

extension ReportTable {
  /// Marks the best cell of each column: the highest or lowest mean by the column's direction, among the rows that
  /// compete. Cells that print alike are equally good, so all of them are marked. A column with one competitor, or
  /// whose competitors all print alike, has no best.
  public mutating func markBest() {
    for (index, column) in columns.enumerated() {
      for row in rows.indices { rows[row].cells[index]?.isBest = false }
      guard column.better != .none else { continue }
      let competitors = rows.indices.filter { !rows[$0].isReference && rows[$0].cells[index]?.mean.isFinite == true }
      let means = competitors.compactMap { rows[$0].cells[index]?.mean }
      guard let best = column.better == .higher ? means.max() : means.min() else { continue }
      let bestText = fixed(best, digits: column.digits)
      let winners = competitors.filter {
        fixed(rows[$0].cells[index]?.mean ?? .nan, digits: column.digits) == bestText
      }
      guard winners.count < competitors.count else { continue }
      for row in winners { rows[row].cells[index]?.isBest = true }
    }
  }
}

/// A number with a fixed count of digits after the point, and no minus sign before a zero.
public func fixed(_ value: Double, digits: Int) -> String {
  guard value.isFinite else { return value.isNaN ? "not a number" : value < 0 ? "−∞" : "∞" }
  let text = String(format: "%.\(max(0, digits))f", locale: Locale(identifier: "en_US_POSIX"), value)
  return text.hasPrefix("-") && !text.contains(where: { "123456789".contains($0) }) ? String(text.dropFirst()) : text
}
