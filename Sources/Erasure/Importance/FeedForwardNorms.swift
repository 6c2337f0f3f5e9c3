public import Configuration
public import Diffusion
public import Tensors

/// How much each neuron of a UNet's feed-forward layers is used while the model draws some prompts: for each layer,
/// step and neuron the norm of its activations over all prompts and positions, each position's activations first scaled
/// to norm 1 (ConceptPrune, Chavhan et al., 2024, arXiv 2405.19237, after Wanda, Sun et al., 2023).
public struct FeedForwardNorms: Sendable {
  /// Prompt i starts from the same noise in every set, so that sets of equal length are compared picture by picture.
  public var prompts: [String]
  public var sampler: SamplerSettings
  /// Steps that are looked at, the noisiest first.
  public var steps: Int
  public var seed: UInt64

  public init(prompts: [String], sampler: SamplerSettings, steps: Int, seed: UInt64) {
    self.prompts = prompts
    self.sampler = sampler
    self.steps = steps
    self.seed = seed
  }

  /// All that decides the norms beside the model.
  public var inputs: JSON {
    let own: [String: JSON] = [
      "prompts": .array(prompts.map(JSON.string)), "steps": .integer(steps), "seed": .integer(Int(seed)),
    ]
    return .object(own.merging(sampler.members) { $1 })
  }

  /// The first steps of a picture for each prompt.
  var work: ModelWork {
    var first = sampler
    first.steps = steps
    return first.work(latents: prompts.count)
  }

  /// - Returns: (steps, neurons) for each second matrix of a feed-forward layer, by the name of its weight; both passes
  ///   of guidance count
  /// - Throws: `SamplingError` for settings that the model cannot follow, `CancellationError` where the monitor says
  ///   so.
  public func values(_ model: DiffusionModel, monitor: WorkMonitor) throws -> [String: Tensor] {
    var sums: [String: Tensor] = [:]
    for first in stride(from: 0, to: prompts.count, by: Parallel.threadCount) {
      let range = first..<min(first + Parallel.threadCount, prompts.count)
      // In the order of the prompts, so that the sum does not depend on how many are drawn at a time.
      for picture in try parallelMap(range.count, { try squares(model, prompt: first + $0) }) {
        sums.merge(picture) { $0 + $1 }
      }
      try monitor.advance(to: range.upperBound, of: prompts.count)
    }
    return sums.mapValues { $0.squareRoot() }
  }

  /// The sums of squares of one picture, (steps, neurons) by the names of weights.
  private func squares(_ model: DiffusionModel, prompt: Int) throws -> [String: Tensor] {
    let record = Record()
    var watched = model
    watched.intervention.hooks = { _ in
      var hooks = UNetHooks()
      hooks.feedForwardActivation = { layer, activation in
        record.squares[layer + ".weight", default: []].append(Self.columnSquares(activation))
        return activation
      }
      return hooks
    }
    let drawing = try Sampler(watched, sampler)
    let noise = RandomStream(seed: seed, "feed-forward norms").item(prompt).normal([1] + drawing.latentShape)
    _ = try drawing.partialTrajectory(noise, prompt: prompts[prompt], steps: steps)
    return record.squares.mapValues(stack)
  }

  /// What one picture leaves, on the one thread that draws it.
  private final class Record {
    var squares: [String: [Tensor]] = [:]
  }

  /// Σ (x_j / ‖x‖)² over all positions.
  private static func columnSquares(_ activation: Tensor) -> Tensor {
    let rows = activation.reshaped([activation.count / activation.extent(-1), activation.extent(-1)]).square()
    // A position without any activation stays zero.
    return (rows / (rows.sum(axis: 1, keepsAxis: true) + .leastNormalMagnitude)).sum(axis: 0)
  }
}
