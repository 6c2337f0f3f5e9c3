internal import Foundation

/// How values are laid out along an axis.
public enum AxisScale: String, CaseIterable, Sendable {
  case linear
  /// Logarithmic where all values are positive; others have no logarithm, and the axis is then linear.
  case log
  /// Logarithmic where the values are positive, reach above 1 and span more than a factor of fifteen, linear otherwise.
  case automatic
}

/// One axis of a plot: the range of values it shows and where its ticks stand.
struct Axis: Equatable, Sendable {
  /// The ends of the axis, in values.
  let lower: Double
  let upper: Double
  let isLogarithmic: Bool
  let ticks: [Double]
  /// Digits after the point that tell neighbouring ticks apart.
  let digits: Int

  /// An axis around `values`, with a margin on either side; values that are not finite are passed over.
  init(showing values: [Double], scale: AxisScale) {
    let values = values.filter(\.isFinite)
    let low = values.min() ?? 0
    let high = values.max() ?? 1
    // Up to 1 lie rates, which are read against 0 and 1 whatever they span.
    let wide = low > 0 && high > 1 && high / low > 15
    isLogarithmic = low > 0 && (scale == .log || (scale == .automatic && wide))
    if isLogarithmic {
      let margin = max(0.08 * (log10(high) - log10(low)), 0.05)
      lower = pow(10, log10(low) - margin)
      upper = pow(10, log10(high) + margin)
      ticks = Self.logarithmicTicks(from: lower, to: upper)
      digits = max(0, -Int(log10(ticks.min() ?? 1).rounded(.down)))
    } else {
      let span = high - low
      let margin = span > 0 ? 0.1 * span : max(0.1 * abs(high), 0.05)
      lower = low - margin
      upper = high + margin
      let step = Self.niceStep((upper - lower) / 5)
      var ticks: [Double] = []
      var index = (lower / step).rounded(.up)
      while index * step <= upper {
        // The margin may reach past values that a count or a rate can have: no tick stands there.
        let value = index * step
        let beyond = (value < 0 && low >= 0) || (value > 1 + 1e-9 && high <= 1 && high > 0.8 && low >= 0)
        if !beyond { ticks.append(value) }
        index += 1
      }
      self.ticks = ticks
      digits = Self.digits(of: step)
    }
  }

  /// Where a value stands: 0 at the lower end, 1 at the upper.
  func fraction(_ value: Double) -> Double {
    isLogarithmic
      ? (log10(max(value, lower / 10)) - log10(lower)) / (log10(upper) - log10(lower))
      : (value - lower) / (upper - lower)
  }

  func text(of tick: Double) -> String {
    guard isLogarithmic else { return fixed(tick, digits: digits) }
    return fixed(tick, digits: max(0, -Int(log10(tick).rounded(.down))))
  }

  /// The smallest of 1, 2, 2.5 and 5 times a power of ten that is at least `raw`.
  private static func niceStep(_ raw: Double) -> Double {
    let power = pow(10, log10(raw).rounded(.down))
    for factor in [1, 2, 2.5, 5] where raw <= factor * power * (1 + 1e-9) { return factor * power }
    return 10 * power
  }

  private static func digits(of step: Double) -> Int {
    for digits in 0..<12 {
      let scaled = step * pow(10, Double(digits))
      if abs(scaled - scaled.rounded()) < 1e-6 * max(1, scaled) { return digits }
    }
    return 12
  }

  /// The powers of ten and, while that leaves room, their double and their fivefold.
  private static func logarithmicTicks(from lower: Double, to upper: Double) -> [Double] {
    let exponents = Int(log10(lower).rounded(.down))...Int(log10(upper).rounded(.up))
    for factors in [[1.0, 2, 5], [1, 3], [1]] {
      var ticks: [Double] = []
      for exponent in exponents {
        for factor in factors {
          let value = factor * pow(10, Double(exponent))
          if value >= lower * (1 - 1e-9), value <= upper * (1 + 1e-9) { ticks.append(value) }
        }
      }
      if ticks.count <= 9 { return ticks }
    }
    // Over many decades, every second or third power of ten, and so on.
    let stride = (exponents.count + 7) / 8
    return exponents.filter { $0 % stride == 0 }.map { pow(10, Double($0)) }.filter { $0 >= lower && $0 <= upper }
  }
}
