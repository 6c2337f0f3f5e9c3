import Workbench

/// The time of plans in words.
enum PlanText {
  /// `2 min 5 s, past`.
  static func words(_ estimate: TimeEstimate) -> String {
    guard let seconds = estimate.seconds else { return "no estimate" }
    switch estimate.basis {
    case .past: return "\(duration(seconds)), past"
    case .measurement: return "\(duration(seconds)), measured"
    case .cache, nil: return ""
    }
  }

  /// `about 12 min 5 s, and 2 stages without an estimate`.
  static func total(_ plans: [Plan]) -> String {
    if plans.allSatisfy(\.isComplete) { return "nothing to compute" }
    let (seconds, unknown) = plans.expectedTime
    if unknown == 0 { return "about \(duration(seconds))" }
    return "about \(duration(seconds)), and \(unknown) stage\(unknown == 1 ? "" : "s") without an estimate"
  }

  private static func duration(_ seconds: Double) -> String {
    seconds < 1 ? "under 1 s" : ProgressLine.duration(seconds)
  }
}
