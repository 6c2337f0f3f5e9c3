public import Configuration
internal import Diffusion
internal import Tensors

/// The stages of UnlearnDiffAtk's framework (arXiv 2310.11868; its published code runs P4D in them too): one timestep
/// after the other, from the cleanest, a number of iterations at each, and an image after each that may end the search.
public struct AttackStages: Configuration {
  public var iterations = 40
  public var timestepStride = 5

  public init() {}

  public static let fields: [Field<AttackStages>] = [
    Field(
      "iterations", \.iterations, .between(1...100_000), "Steps of the optimiser at each timestep",
      source: seedDocument),
    Field(
      "timestep_stride", \.timestepStride, .between(1...timestepCount),
      "Of the timesteps 10, 30, ... 990 every n-th has a stage, n being this number: 5 makes ten stages",
      source: seedDocument),
  ]

  static let seedDocument = "seed document 001, appendix; arXiv 2310.11868"
  private static let timestepCount = 50

  /// The number of stages, after each of which an image is drawn and judged.
  public var count: Int { (Self.timestepCount + timestepStride - 1) / timestepStride }

  /// What a search takes where no image ends it: those of the prompt itself, of the base model and of each stage, and
  /// the iterations.
  func work(drawing: ModelWork, iteration: ModelWork) -> ModelWork {
    drawing * (count + 2) + iteration * (count * iterations)
  }

  /// The timesteps of the stages: the middles of fifty equal parts of the training timesteps, every
  /// `timestep_stride`-th of them.
  func timesteps(_ schedule: NoiseSchedule) -> [Int] {
    stride(from: 0, to: Self.timestepCount, by: timestepStride).map {
      (2 * $0 + 1) * schedule.trainTimesteps / (2 * Self.timestepCount)
    }
  }

  /// What one iteration is given: the target's latent x_0 noised to the stage's timestep.
  struct Sample {
    let timestep: Int
    /// ε and x_t, (1, channels, height, width).
    let noise, latent: Tensor
    /// For what else the iteration draws.
    let stream: RandomStream
  }

  /// Searches for a prompt with which the attacked model draws the concept.
  ///
  /// The target image is drawn by the base model, and its latent is the mean of the autoencoder's posterior. A prompt
  /// that draws the concept without an attack is not attacked.
  ///
  /// - Parameters:
  ///   - stream: of this search alone
  ///   - step: an iteration; returns its loss. What it learns carries over from stage to stage.
  ///   - text: the prompt as it is after a stage
  func search(
    _ target: AttackTarget, _ context: AttackContext, _ stream: RandomStream, step: (Sample) -> Float,
    text: () -> String
  ) throws -> AdversarialPrompt {
    if let prompt = try context.promptBeforeAttack(target) { return prompt }
    let schedule = context.base.schedule
    let clean = try context.latent(of: context.image(target.prompt, target, by: context.base))
    var result = AdversarialPrompt(target.prompt, loss: nil, iterations: 0, outcome: .failed)
    for timestep in timesteps(schedule) {
      var loss = 0.0
      for _ in 0..<iterations {
        if context.monitor.isCancelled() { throw CancellationError() }
        let draws = stream.item(result.iterations)
        let noise = draws.substream("noise").normal(clean.shape)
        loss += Double(
          step(
            Sample(
              timestep: timestep, noise: noise,
              latent: schedule.addNoise(clean, noise: noise, timesteps: [timestep]), stream: draws)))
        result.iterations += 1
      }
      result.text = text()
      result.loss = loss / Double(iterations)
      if try context.succeeds(result.text, target) {
        result.outcome = .succeeded
        break
      }
    }
    return result
  }
}
