internal import Configuration
internal import Diffusion
public import Tensors

/// The training of Erased Stable Diffusion: the weights of a group learn ``ESDObjective`` with Adam.
public struct ESDTraining {
  public var settings: ESDSettings
  /// DDIM steps of a whole trajectory.
  public var steps: Int
  public var seed: UInt64
  /// The share of the linear and convolution weights that is zero before and stays so (Pre-Prune), the smallest of all
  /// together; the model that is pruned so is then the frozen one as well.
  public var prunedShare: Double

  public init(_ settings: ESDSettings, steps: Int, seed: UInt64, prunedShare: Double = 0) {
    self.settings = settings
    self.steps = steps
    self.seed = seed
    self.prunedShare = prunedShare
  }

  /// The name of the estimate: with pruned weights it is another training, one that ESD itself never does.
  static func name(prunedShare: Double) -> String { prunedShare > 0 ? "esd.pruned" : "esd" }

  /// The trained weights by name, as an estimate that all techniques which begin with ESD share.
  public var estimate: Estimate {
    Estimate(
      name: Self.name(prunedShare: prunedShare),
      inputs: [
        "settings": settings.encode(affectingResult: true), "num_inference_steps": .integer(steps),
        "pruned_share": .number(prunedShare), "seed": .integer(Int(seed)),
      ], work: settings.work(steps: steps)
    ) { context in try trained(context) }
  }

  /// - Returns: the weights of the group, by name, after training
  /// - Throws: ``ErasureError`` for a group that the UNet has no weight of, or a loss that is no longer a number;
  ///   `SamplingError` for steps that the model cannot follow; `CancellationError`.
  public func trained(_ context: EditContext) throws -> [String: Tensor] {
    let mask = PruningMask.smallest(share: prunedShare, of: context.model.unetWeights)
    let base = try mask.isEmpty
      ? context.model : context.model.replacingUNetWeights(mask.applied(to: context.model.unetWeights))
    let objective = try ESDObjective(
      base, settings, steps: steps, seed: seed, isCancelled: context.monitor.isCancelled)
    let names = try settings.trainMethod.names(in: base.unetWeights)
    let start = names.reduce(into: [:]) { $0[$1] = base.unetWeights[$1] }
    let kept = mask.kept(names, of: base.unetWeights)
    let training = FineTuning(
      steps: settings.trainSteps, learningRate: settings.learningRate, batchSize: settings.batchSize)
    let result = try training.run(
      context, start: start,
      prepare: { iteration, tensors in
        try objective.samples(iteration) { try base.replacingUNetWeights(tensors) }
      },
      loss: { _, index, samples, tensors in
        // A pruned weight gets no gradient, and Adam leaves it at zero.
        let weights = base.unetWeights.replacing(tensors.merging(kept) { $0 * $1 })
        return objective.loss(samples[index], try UNet2DConditionModel(base.unet.config, weights))
      })
    return result.tensors
  }
}
