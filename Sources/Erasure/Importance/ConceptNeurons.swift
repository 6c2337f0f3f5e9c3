public import Configuration
public import Diffusion
public import Tensors

/// How strongly erasing a concept changes each neuron of a UNet (arXiv 2405.16534, eq. 4; methods 1.7). A neuron is a
/// channel of the last activation of a ResNet block; its value is the channel's map.
///
/// The original and the erased model both draw from the same noise under a prompt with the concept, and are compared at
/// one step of it. The paper's formula is lost; the ways to compare are those that its text allows.
public struct ConceptNeurons {
  /// What two maps of a neuron are compared by, averaged over prompts and noise.
  public enum Score: String, CaseIterable, ConfigurationValue {
    /// The mean over the map of original - erased: by how much erasing quiets the neuron.
    case reduction
    /// The mean over the map of |original - erased|.
    case absolute
    /// The Euclidean norm of original - erased.
    case norm
  }

  public var prompts: [String]
  /// Drawings for each prompt.
  public var samplesPerPrompt: Int
  /// Steps done before the pass that is compared; its timestep is that of the next one.
  public var step: Int
  public var score: Score
  public var sampler: SamplerSettings
  public var seed: UInt64

  public init(
    prompts: [String], samplesPerPrompt: Int, step: Int, score: Score = .reduction, sampler: SamplerSettings,
    seed: UInt64
  ) {
    self.prompts = prompts
    self.samplesPerPrompt = samplesPerPrompt
    self.step = step
    self.score = score
    self.sampler = sampler
    self.seed = seed
  }

  /// What ``scores(original:erased:monitor:)`` takes: two partial drawings and a pass for each sample.
  var work: ModelWork {
    var first = sampler
    first.steps = step
    return (first.work(latents: 1) + ModelWork(forwards: 1)) * (2 * prompts.count * samplesPerPrompt)
  }

  /// The score of every channel, by the name of its ResNet block.
  ///
  /// - Throws: `SamplingError` for settings that the model cannot follow, `CancellationError`.
  public func scores(
    original: DiffusionModel, erased: DiffusionModel, monitor: WorkMonitor = WorkMonitor()
  ) throws -> [String: Tensor] {
    let trajectories = try [original, erased].map {
      try PartialTrajectory(
        $0, steps: sampler.steps, startGuidance: sampler.guidanceScale, isCancelled: monitor.isCancelled)
    }
    let count = prompts.count * samplesPerPrompt
    let scores = try mapOnThreads(count) { index -> [String: Tensor] in
      let prompt = prompts[index / samplesPerPrompt]
      let stream = RandomStream(seed: seed, "concept neurons", prompt).item(index % samplesPerPrompt)
      let maps = try trajectories.map { try activations($0, prompt, stream) }
      return maps[0].merging(maps[1]) { compare($0, $1) }
    }
    return scores.dropFirst().reduce(scores[0]) { $0.merging($1) { $0 + $1 } }.mapValues { $0 * (1 / Float(count)) }
  }

  /// A prompt and the adversarial prompt that an attack made of it.
  public struct PromptPair: Hashable, Sendable {
    public var prompt: String
    public var adversarial: String

    public init(prompt: String, adversarial: String) {
      self.prompt = prompt
      self.adversarial = adversarial
    }
  }

  /// How sensitive every neuron of a model is to an attack (eq. 5): the mean over pairs of |h(c') - h(c)| averaged over
  /// the map, where prompt c and adversarial prompt c' are followed from the same noise to ``step``.
  ///
  /// - Returns: the means of all channels, (channels), by the name of their ResNet block
  /// - Throws: `SamplingError` for settings that the model cannot follow, `CancellationError`.
  public func sensitivities(
    of model: DiffusionModel, _ pairs: [PromptPair], monitor: WorkMonitor = WorkMonitor()
  ) throws -> [String: Tensor] {
    let trajectory = try PartialTrajectory(
      model, steps: sampler.steps, startGuidance: sampler.guidanceScale, isCancelled: monitor.isCancelled)
    let changes = try mapOnThreads(pairs.count) { index -> [String: Tensor] in
      let pair = pairs[index]
      let stream = RandomStream(seed: seed, "concept neurons", pair.prompt)
      return try activations(trajectory, pair.prompt, stream).merging(
        activations(trajectory, pair.adversarial, stream)
      ) { plain, attacked in
        let channels = plain.shape[1]
        return (attacked - plain).reshaped([channels, plain.count / channels]).abs().mean(axis: 1)
      }
    }
    return changes.dropFirst().reduce(changes[0]) { $0.merging($1) { $0 + $1 } }.mapValues {
      $0 * (1 / Float(pairs.count))
    }
  }

  /// The last activations of all ResNet blocks under the prompt alone, (1, channels, height, width).
  private func activations(
    _ trajectory: PartialTrajectory, _ prompt: String, _ stream: RandomStream
  ) throws -> [String: Tensor] {
    let model = trajectory.sampler.model
    let point = try trajectory.point(prompt, stream, after: step)
    var activations: [String: Tensor] = [:]
    var hooks = UNetHooks()
    hooks.residualActivation = { name, activation in
      activations[name] = activation
      return activation
    }
    _ = model.unet(
      point.latent, timesteps: [point.timestep],
      encoderHiddenStates: model.textEncoder([model.tokenizer.encode(prompt)]), hooks: hooks)
    return activations
  }

  /// (channels)
  private func compare(_ original: Tensor, _ erased: Tensor) -> Tensor {
    let channels = original.shape[1]
    let difference = (original - erased).reshaped([channels, original.count / channels])
    return switch score {
    case .reduction: difference.mean(axis: 1)
    case .absolute: difference.abs().mean(axis: 1)
    case .norm: difference.square().sum(axis: 1).squareRoot()
    }
  }

  /// The channels with the largest scores, the largest first; of equal ones the first.
  public static func largest(_ count: Int, of scores: Tensor) -> [Int] {
    let values = scores.values
    return Array(values.indices.sorted { (values[$1], $0) < (values[$0], $1) }.prefix(count))
  }
}
