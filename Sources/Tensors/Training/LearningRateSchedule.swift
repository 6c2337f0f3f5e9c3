#if canImport(Glibc)
  internal import Glibc
#endif

/// The learning rate as a function of the step.
public enum LearningRateSchedule: Sendable, Equatable {
  case constant
  /// Linear from the peak down to 0, which would be the rate of the step after the last.
  case linearDecay
  /// Linear from 0 over `warmup` steps, then constant until `hold` of all steps, then a half cosine down to
  /// `final` of the peak.
  case warmupCosine(warmup: Int, hold: Double = 0, final: Double = 0)

  /// - Parameters:
  ///   - step: from 0
  ///   - steps: of the whole training
  /// - Returns: the rate of this step for the given peak
  public func rate(step: Int, of steps: Int, peak: Double) -> Double {
    switch self {
    case .constant: return peak
    case .linearDecay: return peak * (1 - Double(step) / Double(max(steps, 1)))
    case .warmupCosine(let warmup, let hold, let final):
      if step < warmup { return peak * Double(step + 1) / Double(warmup) }
      let start = max(Double(warmup), hold * Double(steps))
      if Double(step) < start { return peak }
      let progress = (Double(step) - start) / max(1, Double(steps) - start)
      return peak * (final + (1 - final) * 0.5 * (1 + cos(Double.pi * min(1, progress))))
    }
  }
}
