public import Attacks
public import Diffusion
public import Erasure
public import Tensors

/// A metric that looks into the edited model instead of at its images.
public protocol ModelMetric: Metric {
  /// Refuses what can be seen to be wrong before anything is computed.
  ///
  /// - Throws: ``MetricError``
  func check(_ context: MetricContext) throws

  /// The values of the metric.
  ///
  /// - Parameter monitor: progress in whatever takes the time
  func evaluate(_ models: MeasuredModels, _ context: MetricContext, monitor: WorkMonitor) throws -> [MetricValue]
}

extension ModelMetric {
  public func judges(_ context: MetricContext) throws -> [String] { [] }
}

/// The models that a ``ModelMetric`` looks into.
public struct MeasuredModels {
  public let base: DiffusionModel
  /// With what it changes while images are drawn.
  public let edited: DiffusionModel
  /// What of its weights the edit prunes.
  public let pruned: PruningMask
  /// The number of elements that the technique could have pruned; nil where it prunes none by itself.
  public let maskableElements: Int?
  public let sampler: SamplerSettings
  /// What the metric's attack found, where it has one.
  public let prompts: [AttackTarget: AdversarialPrompt]

  public init(
    base: DiffusionModel, edited: DiffusionModel, pruned: PruningMask, maskableElements: Int?,
    sampler: SamplerSettings, prompts: [AttackTarget: AdversarialPrompt] = [:]
  ) {
    self.base = base
    self.edited = edited
    self.pruned = pruned
    self.maskableElements = maskableElements
    self.sampler = sampler
    self.prompts = prompts
  }
}
