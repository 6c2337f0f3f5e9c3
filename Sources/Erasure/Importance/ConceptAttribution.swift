public import Configuration
public import Diffusion
public import Tensors

/// What each weight of a UNet contributes to a concept, to first order (Nguyen, Phan and Doan, 2024, arXiv 2412.02542,
/// eq. 3): a_i = w_i ∂J/∂w_i, about what the objective J loses when the weight is set to zero.
///
/// J is a mean over samples, each a noised latent at a timestep. Every gradient is taken of one sample in float32; the
/// published scripts add up gradients in float16.
public struct ConceptAttribution: Sendable {
  /// What a change invalidates every estimate of.
  static let sourceFile = #fileID

  /// How well a model draws the concept c.
  public enum Objective: String, CaseIterable, ConfigurationValue {
    /// ‖sg ε(x_t, c_b) - ε(x_t, c)‖², how far the concept leads away from the base prompt (eq. 4), at latents that the
    /// model reaches on its way to the concept.
    case guidance
    /// -‖ε - ε(x_t, c)‖², how well noise is told from pictures of the concept (eq. 5), which the model draws first.
    case denoising
  }

  public var objective: Objective
  /// c: each prompt has the same number of samples.
  public var prompts: [String]
  /// c_b, what ``Objective/guidance`` leads away from.
  public var basePrompt: String
  /// DDIM steps of a run; a round visits each of its timesteps once.
  public var steps: Int
  /// The guidance scale that latents are drawn with.
  public var startGuidance: Double
  /// Rounds over the timesteps, each from fresh noise; for ``Objective/denoising`` the pictures of each prompt.
  public var rounds: Int
  /// Which timestep a latent of ``Objective/guidance`` is asked about with; the published script has `last`.
  public var pairing: TimestepPairing
  public var seed: UInt64

  public init(
    objective: Objective, prompts: [String], basePrompt: String = "", steps: Int, startGuidance: Double,
    rounds: Int = 1, pairing: TimestepPairing = .next, seed: UInt64
  ) {
    self.objective = objective
    self.prompts = prompts
    self.basePrompt = basePrompt
    self.steps = steps
    self.startGuidance = startGuidance
    self.rounds = rounds
    self.pairing = pairing
    self.seed = seed
  }

  /// A place at which the objective is measured.
  public struct Sample {
    /// x_t: (1, channels, height, width).
    public let latent: Tensor
    public let timestep: Int
    /// The text states of c: (1, positions, width).
    public let states: Tensor
    /// What the prediction is compared with, of the shape of the latent; a constant.
    public let target: Tensor
  }

  /// All that decides the attribution beside the model.
  public var inputs: JSON {
    [
      "objective": objective.json, "prompts": prompts.json, "base_prompt": .string(basePrompt),
      "steps": .integer(steps), "start_guidance": .number(startGuidance), "rounds": .integer(rounds),
      "pairing": pairing.json, "seed": .integer(Int(seed)),
    ]
  }

  /// For each sample a gradient and what it is drawn with.
  var work: ModelWork {
    let rounds = prompts.count * rounds
    let gradients = ModelWork(gradients: Double(sampleCount))
    switch objective {
    case .guidance:
      let point = PartialTrajectory.work(steps: steps, startGuidance: startGuidance, pairing: pairing)
      return gradients + (point + ModelWork(forwards: 1)) * sampleCount
    case .denoising:
      return gradients + SamplerSettings(steps: steps, guidanceScale: startGuidance).work(latents: rounds)
    }
  }

  /// The attribution of every weight that is a matrix or a convolution, by its name.
  ///
  /// - Throws: `SamplingError` for steps that the model cannot take, ``ErasureError`` for a pairing that does not fit
  ///   them, `CancellationError` where the monitor says so.
  public func values(_ model: DiffusionModel, monitor: WorkMonitor) throws -> [String: Tensor] {
    let weights = model.unetWeights.tensors.filter { $0.tensor.rank >= 2 }
    var sums = weights.map { Tensor.zeros($0.tensor.shape) }
    let total = sampleCount
    let window = model.gradientsAtATime
    // What drawing its samples takes is about half of a round.
    let samples = try samples(model) { done in try monitor.advance(to: done, of: 2 * total) }
    for first in stride(from: 0, to: total, by: window) {
      let range = first..<min(first + window, total)
      let gradients = try parallelMap(range.count) { try gradient(model, weights, samples[first + $0]) }
      // In the order of the samples, so that the sum does not depend on how many are computed at a time.
      sums = try parallelMap(sums.count) { index in gradients.reduce(sums[index]) { $0 + $1[index] } }
      try monitor.advance(to: total + range.upperBound, of: 2 * total)
    }
    let scale = 1 / Float(total)
    return Dictionary(
      zip(weights, sums).map { weight, sum in (weight.name, weight.tensor * sum * scale) }, uniquingKeysWith: { $1 })
  }

  /// J of a model at samples, which may have been drawn by another one.
  public func value(_ model: DiffusionModel, at samples: [Sample]) throws -> Double {
    let values = try parallelMap(samples.count) { index in
      let sample = samples[index]
      return (predict(model, model.unet, sample) - sample.target).sumOfSquares
    }
    return sign * values.reduce(0, +) / Double(samples.count)
  }

  /// The samples as this model gives them.
  ///
  /// - Parameter advance: told after each round how many there are; what it throws ends the drawing
  public func samples(_ model: DiffusionModel, advance: (Int) throws -> Void = { _ in }) throws -> [Sample] {
    let trajectory = try PartialTrajectory(model, steps: steps, startGuidance: startGuidance, pairing: pairing)
    let baseStates = model.textEncoder([model.tokenizer.encode(basePrompt)])
    var samples: [Sample] = []
    for prompt in prompts {
      let states = model.textEncoder([model.tokenizer.encode(prompt)])
      for round in 0..<rounds {
        // Addressed by the prompt's text: a prompt contributes the same whatever else there is.
        let stream = RandomStream(seed: seed, "attribution", prompt).item(round)
        switch objective {
        case .guidance:
          let places = Array(pairing.steps(of: steps))
          samples += try mapOnThreads(places.count) { index in
            let point = try trajectory.point(
              prompt, stream.substream("trajectory").item(index), after: places[index])
            let predicted = model.unet(point.latent, timesteps: [point.timestep], encoderHiddenStates: baseStates)
            return Sample(
              latent: point.latent, timestep: point.timestep, states: states,
              target: model.schedule.noise(predicted: predicted, in: point.latent, timestep: point.timestep))
          }
        case .denoising:
          let drawing = trajectory.sampler
          let start = stream.substream("picture").normal([1] + drawing.latentShape)
          let clean = try drawing.partialTrajectory(start, prompt: prompt, steps: steps)
          samples += trajectory.timesteps.enumerated().map { step, timestep in
            let noise = stream.substream("noise").item(step).normal(clean.shape)
            return Sample(
              latent: model.schedule.addNoise(clean, noise: noise, timesteps: [timestep]), timestep: timestep,
              states: states, target: noise)
          }
        }
        try advance(samples.count)
      }
    }
    return samples
  }

  private var sampleCount: Int { prompts.count * rounds * steps }

  private var sign: Double { objective == .guidance ? 1 : -1 }

  private func gradient(
    _ model: DiffusionModel, _ weights: [(name: String, tensor: Tensor)], _ sample: Sample
  ) throws -> [Tensor] {
    let tape = Tape()
    let tracked = weights.map { (name: $0.name, tensor: tape.watch($0.tensor)) }
    let replacements = Dictionary(tracked.map { ($0.name, $0.tensor) }, uniquingKeysWith: { $1 })
    let unet = try UNet2DConditionModel(model.unet.config, model.unetWeights.replacing(replacements))
    let objective = (predict(model, unet, sample) - sample.target).square().sum() * Float(sign)
    return tape.gradients(of: objective, for: tracked.map(\.tensor))
  }

  /// The noise that a model with a UNet of its own predicts.
  private func predict(_ model: DiffusionModel, _ unet: UNet2DConditionModel, _ sample: Sample) -> Tensor {
    model.schedule.noise(
      predicted: unet(sample.latent, timesteps: [sample.timestep], encoderHiddenStates: sample.states),
      in: sample.latent, timestep: sample.timestep)
  }
}
