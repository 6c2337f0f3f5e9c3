public import Diffusion
public import Tensors

/// The outputs of a transformer while a model draws: for each picture and each step a vector for every position, of the
/// conditional half of guidance.
public struct LayerActivations: Sendable {
  /// As diffusers names it, for example `up_blocks.1.attentions.1`.
  public var layer: String
  public var prompts: [String]
  /// Pictures of each prompt.
  public var repetitions: Int
  public var sampler: SamplerSettings
  public var seed: UInt64

  public init(layer: String, prompts: [String], repetitions: Int = 1, sampler: SamplerSettings, seed: UInt64) {
    self.layer = layer
    self.prompts = prompts
    self.repetitions = repetitions
    self.sampler = sampler
    self.seed = seed
  }

  /// The pictures that are drawn.
  public var pictureCount: Int { prompts.count * repetitions }

  /// Drawing the pictures; what looks at their activations is little beside it.
  var work: ModelWork { sampler.work(latents: pictureCount) }

  /// Draws, and hands on the activations of each picture, in order: one tensor (1, positions, width) for each step.
  ///
  /// - Throws: ``ErasureError`` for a layer that the UNet does not have, `CancellationError` where the monitor says so.
  public func collect(_ model: DiffusionModel, monitor: WorkMonitor, _ body: ([Tensor]) throws -> Void) throws {
    _ = try SparseAutoencoder.width(of: layer, in: model.unetWeights)
    let requests = prompts.flatMap { prompt in
      (0..<repetitions).map { ImageRequest(prompt: prompt, seed: seed, repetition: $0) }
    }
    for first in stride(from: 0, to: requests.count, by: Parallel.threadCount) {
      let range = first..<min(first + Parallel.threadCount, requests.count)
      let pictures = try parallelMap(range.count) { try activations(model, requests[first + $0]) }
      for picture in pictures { try body(picture) }
      try monitor.advance(to: range.upperBound, of: requests.count)
    }
  }

  private func activations(_ model: DiffusionModel, _ request: ImageRequest) throws -> [Tensor] {
    let record = Record()
    var watched = model
    watched.intervention.hooks = { _ in
      var hooks = UNetHooks()
      hooks.transformerOutput = { name, output in
        if name == layer { record.maps.append(output) }
        return output
      }
      return hooks
    }
    let drawing = try Sampler(watched, sampler)
    _ = try drawing.denoise(drawing.noise(request), prompts: [request.prompt])
    // The unconditional half comes first, where there is one.
    return record.maps.map { $0.slice(axis: 0, $0.shape[0] - 1..<$0.shape[0]).positionsFirst }
  }

  /// What one picture leaves, on the one thread that draws it.
  private final class Record {
    var maps: [Tensor] = []
  }
}

extension Tensor {
  /// (items, channels, height, width) to (items, height * width, channels).
  var positionsFirst: Tensor { reshaped([shape[0], shape[1], shape[2] * shape[3]]).transposedLast() }

  /// The way back from ``positionsFirst`` to a given shape.
  func channelsFirst(_ shape: [Int]) -> Tensor { transposedLast().reshaped(shape) }
}
