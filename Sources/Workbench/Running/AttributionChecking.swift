internal import Configuration
internal import Erasure
internal import Tensors

/// What random small ablations do to CAD's objective, beside what the attribution predicts (arXiv 2412.02542,
/// figure 2).
public struct AttributionReport: Sendable {
  /// How many weights each ablation has set to zero.
  public let weights: Int
  /// The share of the modules' weights that this is: what was asked for, as nearly as whole weights come.
  public let share: Double
  /// For each ablation the sum of the attributions of its weights.
  public let predicted: [Double]
  /// For each ablation what the objective loses.
  public let actual: [Double]
  /// Pearson's correlation of the two.
  public let correlation: Double
}

extension Runner {
  /// Holds the attribution of a point of CAD against the objective. The attribution comes from the cache where it
  /// is there.
  ///
  /// - Parameters:
  ///   - trials: ablations
  ///   - share: the share of the modules' weights that one ablation sets to zero
  /// - Throws: `ConfigurationError` for a point of another technique, `CancellationError`.
  public func checkAttribution(
    of point: ExperimentPoint, trials: Int, share: Double, monitor: RunMonitor
  ) throws -> AttributionReport {
    let attribution: (UInt64) -> ConceptAttribution
    let modules: [AttributedModules]
    switch point.technique.configuration {
    case let erase as CADEraseConfiguration: (attribution, modules) = (erase.attribution, erase.modules)
    case let amplify as CADAmplifyConfiguration: (attribution, modules) = (amplify.attribution, amplify.modules)
    default:
      throw ConfigurationError(
        file: point.file, keyPath: "technique.name",
        "the check is one of cad_erase and cad_amplify, and this experiment is one of \(point.technique.name)")
    }
    let execution = PointExecution(point, runner: self, monitor: monitor)
    let (plan, model, estimates) = try execution.computeEstimates()
    let check = AttributionCheck(
      attribution(plan.editSeed), modules: modules, trials: trials, share: share)
    let result = try check.run(
      model, values: estimates["attribution"] ?? [:], monitor: monitor.work("check"))
    try models.confirmUnchanged()
    return AttributionReport(
      weights: result.weights, share: result.share, predicted: result.predicted, actual: result.actual,
      correlation: result.correlation)
  }
}
