internal import Diffusion
internal import Tensors

/// Draws images and encodes them as PNG files.
enum ImageStage {
  static let sourceFile = #fileID

  /// - Parameters:
  ///   - model: the edited model, its weights rounded if they are kept in half precision.
  ///   - batchSize: images drawn at a time; it changes no byte.
  ///   - finished: the place of a batch among the requests and its PNG files, as soon as it is drawn.
  static func draw(
    _ requests: [ImageRequest], _ model: DiffusionModel, _ settings: SamplerSettings, batchSize: Int,
    monitor: WorkMonitor, finished: (Range<Int>, [[UInt8]]) throws -> Void
  ) throws {
    let sampler = try Sampler(model, settings)
    // Progress in steps of single images, so that the time left can be told within a batch.
    let total = requests.count * sampler.timesteps.count
    try sampler.draw(
      requests, batchSize: batchSize,
      progress: { state in
        let batch = min(batchSize, state.total - state.finished)
        monitor.progress(state.finished * state.steps + state.step * batch, total)
      }, isCancelled: monitor.isCancelled
    ) { range, latents in
      let pictures = sampler.pictures(latents)
      try finished(range, parallelMap(pictures.count) { try PNG.encode(pictures[$0]) })
    }
  }
}
