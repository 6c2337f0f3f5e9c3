internal import Configuration
public import Diffusion
internal import Tensors

/// Clean latents of images that the model draws itself from some prompts: the training images of techniques that noise
/// images forward and have none of their own.
public struct GeneratedLatents {
  /// Image i is of prompt i modulo their number.
  public var prompts: [String]
  public var count: Int
  public var sampler: SamplerSettings
  public var seed: UInt64

  public init(prompts: [String], count: Int, sampler: SamplerSettings, seed: UInt64) {
    self.prompts = prompts
    self.count = count
    self.sampler = sampler
    self.seed = seed
  }

  /// The stage that draws them. Techniques that need the same images share it.
  ///
  /// - Returns: an estimate of one tensor, `latents`, of shape (count, channels, height, width), as the diffusion model
  ///   has them
  public func estimate(named name: String) -> Estimate {
    Estimate(name: name, inputs: inputs, work: sampler.work(latents: count)) { context in
      [Self.tensor: try draw(context)]
    }
  }

  /// All that decides the latents beside the model.
  var inputs: JSON {
    let own: [String: JSON] = [
      "prompts": .array(prompts.map(JSON.string)), "count": .integer(count),
      "seed": .integer(Int(truncatingIfNeeded: seed)),
    ]
    return .object(own.merging(sampler.members) { $1 })
  }

  /// The name of the latents among the tensors of the estimate and of its state.
  fileprivate static let tensor = "latents"

  /// The latents, (count, channels, height, width). Every batch is kept in the context's state file, and what an
  /// interruption has left there is not drawn again.
  private func draw(_ context: EditContext) throws -> Tensor {
    let requests = (0..<count).map {
      ImageRequest(prompt: prompts[$0 % prompts.count], seed: seed, repetition: $0 / prompts.count)
    }
    var batches = try context.savedState.map { [try SafetensorsFile($0).tensor(Self.tensor)] } ?? []
    let kept = batches.reduce(0) { $0 + $1.shape[0] }
    try Sampler(context.model, sampler).draw(
      Array(requests.dropFirst(kept)), isCancelled: context.monitor.isCancelled
    ) { range, latents in
      batches.append(latents)
      try context.saveState { try Safetensors.write([(Self.tensor, concatenate(batches, axis: 0))], to: $0) }
      context.monitor.progress(kept + range.upperBound, count)
    }
    return concatenate(batches, axis: 0)
  }
}

extension EditContext {
  /// The latents that the estimate of this name drew.
  ///
  /// - Throws: ``ErasureError`` where the context has none.
  func latents(of estimate: String) throws -> Tensor {
    guard let latents = estimates[estimate]?[GeneratedLatents.tensor] else {
      throw ErasureError("the estimate '\(estimate)' has no latents")
    }
    return latents
  }
}
