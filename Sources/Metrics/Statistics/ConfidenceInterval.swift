/// Where a value would lie in 95 of 100 repetitions of its measurement with other images.
public struct ConfidenceInterval: Equatable, Sendable {
  public var lower: Double
  public var upper: Double

  public init(lower: Double, upper: Double) {
    self.lower = lower
    self.upper = upper
  }

  /// The 97.5 % quantile of the standard normal distribution.
  private static let quantile = 1.959963984540054

  /// The score interval of a share (Wilson 1927, JASA 22): unlike the interval of p ± z σ it stays within [0, 1] and
  /// has a width at shares of 0 and 1. Trials are taken as independent.
  ///
  /// - Returns: nil for no trials
  public static func wilson(_ successes: Int, of trials: Int) -> ConfidenceInterval? {
    precondition(successes >= 0 && successes <= trials, "\(successes) successes in \(trials) trials")
    guard trials > 0 else { return nil }
    let (n, z) = (Double(trials), quantile)
    let share = Double(successes) / n
    let shrinking = 1 + z * z / n
    let centre = (share + z * z / (2 * n)) / shrinking
    let half = z / shrinking * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot()
    // At the ends the bound is the end itself, and rounding would miss it.
    return ConfidenceInterval(
      lower: successes == 0 ? 0 : centre - half, upper: successes == trials ? 1 : centre + half)
  }
}
