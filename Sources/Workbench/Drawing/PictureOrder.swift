public import Diffusion
public import Tensors

/// A starting noise that does not fit a model, in one sentence.
public struct PictureOrderError: Error, Equatable, CustomStringConvertible {
  public let description: String
}

/// Pictures that somebody asks for by hand: one prompt, one seed, one or several of them.
public struct PictureOrder: Sendable {
  public var prompt: String
  public var settings: SamplerSettings
  /// Where the pictures start from.
  public var start: Start

  public enum Start: Sendable {
    /// The noise that an experiment with this seed draws the prompt from, its first `count` repetitions.
    case seed(UInt64, count: Int)
    /// Latents (pictures, channels, height, width) under the key `latents` of a safetensors file.
    case file(String)
  }

  /// How many pictures there will be, and the height and width of their latents where a file decides them.
  ///
  /// - Throws: `SafetensorsError` for a file that does not hold latents.
  static func extent(_ start: Start) throws -> (count: Int, size: (height: Int, width: Int)?) {
    switch start {
    case .seed(_, let count): return (count, nil)
    case .file(let path):
      let shape = try SafetensorsFile(path).shape(of: "latents")
      // Others are refused when they are held against the model.
      guard shape.count == 4, !shape.contains(0) else { return (1, nil) }
      return (shape[0], (shape[2], shape[3]))
    }
  }

  public init(prompt: String, settings: SamplerSettings, start: Start) {
    self.prompt = prompt
    self.settings = settings
    self.start = start
  }

  static let batchSize = 16

  /// What was drawn.
  public struct Drawing {
    public let pictures: [RGBImage]
    /// The final latents, (pictures, channels, height, width), as the diffusion model has them.
    public let latents: Tensor
  }

  /// Draws the pictures, sixteen at a time unless `MemoryLimits` allow fewer.
  ///
  /// - Parameter monitor: progress in sampling steps of pictures
  /// - Throws: ``PictureOrderError`` for latents that do not fit the model, `SafetensorsError` for a file that does not
  ///   hold any, `SamplingError` for settings that the model cannot follow, `CancellationError`.
  public func draw(_ model: DiffusionModel, monitor: WorkMonitor) throws -> Drawing {
    let (sampler, count, noise) = try begin(model)
    var pictures: [RGBImage] = []
    var latents: [Tensor] = []
    let steps = sampler.timesteps.count
    let size = min(PictureOrder.batchSize, MemoryLimits.images)
    for first in stride(from: 0, to: count, by: size) {
      let range = first..<min(first + size, count)
      let batch = try sampler.denoise(
        noise(range), prompts: Array(repeating: prompt, count: range.count), isCancelled: monitor.isCancelled
      ) { step in monitor.progress(first * steps + range.count * step, count * steps) }
      latents.append(batch)
      pictures += sampler.pictures(batch)
    }
    return Drawing(pictures: pictures, latents: latents.count == 1 ? latents[0] : concatenate(latents, axis: 0))
  }

  /// A sampler, the number of pictures, and the noise that those of a range start from.
  private func begin(_ model: DiffusionModel) throws -> (Sampler, Int, (Range<Int>) -> Tensor) {
    switch start {
    case .seed(let seed, let count):
      let sampler = try Sampler(model, settings)
      return (
        sampler, count,
        { range in
          concatenate(
            range.map { sampler.noise(ImageRequest(prompt: prompt, seed: seed, repetition: $0)) }, axis: 0)
        }
      )
    case .file(let path):
      let latents = try SafetensorsFile(path).tensor("latents")
      try check(latents, path, model)
      var settings = settings
      settings.height = latents.shape[2] * model.vae.config.reduction
      settings.width = latents.shape[3] * model.vae.config.reduction
      return (try Sampler(model, settings), latents.shape[0], { latents.slice(axis: 0, $0) })
    }
  }

  private func check(_ latents: Tensor, _ path: String, _ model: DiffusionModel) throws {
    let channels = model.unet.config.inChannels
    guard latents.rank == 4, latents.shape[1] == channels, !latents.shape.contains(0) else {
      throw PictureOrderError(
        description:
          "\(path): 'latents' has the shape \(latents.shape), where this model takes pictures x \(channels) x"
          + " height x width")
    }
    guard latents.withUnsafeValues({ $0.allSatisfy(\.isFinite) }) else {
      throw PictureOrderError(description: "\(path): 'latents' holds a value that is not a finite number")
    }
  }
}
