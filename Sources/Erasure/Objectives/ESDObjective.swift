public import Diffusion
public import Tensors

/// The loss of Erased Stable Diffusion (Gandikota et al., ICCV 2023, arXiv 2303.07345, eq. 7; methods 1.3): at points
/// of partial trajectories, the mean squared difference between the trained model's prediction under the concept and a
/// target that the frozen model makes.
///
/// Texts are encoded once, and the frozen model's predictions under all of a target's texts are one pass.
public final class ESDObjective {
  /// A point, and what the model should predict there.
  public struct Sample {
    /// (1, channels, height, width)
    public let latent: Tensor
    public let timestep: Int
    /// The text that the trained model is given, (1, positions, width).
    public let states: Tensor
    /// (1, channels, height, width)
    public let target: Tensor
  }

  /// The frozen model.
  public let base: DiffusionModel
  public let settings: ESDSettings
  private let steps: Int
  private let isCancelled: () -> Bool
  private let stream: RandomStream
  /// The prompts of the settings: each with the states that the trained model is given and the target's texts.
  private let texts: [(states: Tensor, target: PreparedText)]
  private let frozen: PartialTrajectory
  /// Samples drawn ahead, by iteration.
  private var drawn: [Int: [Sample]] = [:]

  /// - Parameters:
  ///   - steps: DDIM steps of a whole trajectory
  ///   - isCancelled: asked before every step of one, on several threads at once
  /// - Throws: `SamplingError` for steps that the model cannot follow, ``ErasureError`` for a pairing that needs more.
  public init(
    _ base: DiffusionModel, _ settings: ESDSettings, steps: Int, seed: UInt64,
    isCancelled: @escaping () -> Bool = { false }
  ) throws {
    func states(_ prompt: String) -> Tensor { base.textEncoder([base.tokenizer.encode(prompt)]) }
    let from = settings.eraseFrom.map(states)
    let empty = states("")
    self.base = base
    self.settings = settings
    self.steps = steps
    self.isCancelled = isCancelled
    stream = RandomStream(seed: seed, "esd")
    texts = settings.prompts.map { prompt in
      let concept = states(prompt)
      let parts = [empty, concept] + (from.map { [$0] } ?? [])
      return (from ?? concept, .batch(parts.map { base.unet.prepare(text: $0) }))
    }
    frozen = try Self.trajectory(base, settings, steps: steps, isCancelled)
  }

  private static func trajectory(
    _ model: DiffusionModel, _ settings: ESDSettings, steps: Int, _ isCancelled: @escaping () -> Bool
  ) throws -> PartialTrajectory {
    try PartialTrajectory(
      model, steps: steps, startGuidance: settings.startGuidance, pairing: settings.timestepPairing,
      isCancelled: isCancelled)
  }

  /// The samples of an iteration. Those of the frozen model do not wait for training and are drawn ahead of it, for as
  /// many iterations as occupy all threads.
  ///
  /// - Parameter trained: makes the model as it is, for trajectories of its own
  public func samples(_ iteration: Int, trained: () throws -> DiffusionModel) throws -> [Sample] {
    guard settings.sampledModel == .frozen else {
      let own = try Self.trajectory(trained(), settings, steps: steps, isCancelled)
      return try samples(iteration..<iteration + 1, own)[0]
    }
    if let samples = drawn.removeValue(forKey: iteration) { return samples }
    let window = max(1, 4 * Parallel.threadCount / settings.batchSize)
    let iterations = iteration..<max(min(iteration + window, settings.trainSteps), iteration + 1)
    drawn = Dictionary(zip(iterations, try samples(iterations, frozen)), uniquingKeysWith: { $1 })
    return drawn.removeValue(forKey: iteration) ?? []
  }

  private func samples(_ iterations: Range<Int>, _ trajectory: PartialTrajectory) throws -> [[Sample]] {
    let first = iterations.lowerBound * settings.batchSize
    let all = try mapOnThreads(iterations.count * settings.batchSize) { offset in
      try sample(stream.item(first + offset), trajectory)
    }
    return iterations.indices.map { index in
      let start = (index - iterations.lowerBound) * settings.batchSize
      return Array(all[start..<start + settings.batchSize])
    }
  }

  private func sample(_ stream: RandomStream, _ trajectory: PartialTrajectory) throws -> Sample {
    let prompt = stream.substream("prompt").integer(below: settings.prompts.count)
    let point = try trajectory.point(settings.eraseFrom ?? settings.prompts[prompt], stream)
    return Sample(
      latent: point.latent, timestep: point.timestep, states: texts[prompt].states,
      target: target(at: point, texts[prompt].target))
  }

  private func target(at point: PartialTrajectory.Point, _ texts: PreparedText) -> Tensor {
    let predictions = base.schedule.noise(
      predicted: base.unet(point.latent, time: base.unet.prepare(timesteps: [point.timestep]), text: texts),
      in: point.latent, timestep: point.timestep)
    func prediction(_ index: Int) -> Tensor { predictions.slice(axis: 0, index..<index + 1) }
    let (unconditional, conditional) = (prediction(0), prediction(1))
    let start =
      switch settings.target {
      case .fromUnconditional: unconditional
      case .fromConditional: settings.eraseFrom == nil ? conditional : prediction(2)
      }
    return start - (conditional - unconditional) * Float(settings.negativeGuidance)
  }

  /// The loss of a sample: the mean over the elements of the squared difference, on the tape of the UNet's weights.
  public func loss(_ sample: Sample, _ unet: UNet2DConditionModel) -> Tensor {
    let predicted = unet(sample.latent, timesteps: [sample.timestep], encoderHiddenStates: sample.states)
    return mseLoss(
      base.schedule.noise(predicted: predicted, in: sample.latent, timestep: sample.timestep), sample.target)
  }
}
