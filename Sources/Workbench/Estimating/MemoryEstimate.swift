public import Diffusion
internal import Erasure
internal import Tensors

/// The memory that work with a model takes, told before any of it is done from the model's architecture alone. It was
/// held against what the parts of Stable Diffusion take; see docs/performance.md.
public struct MemoryEstimate: Sendable {
  private let architecture: DiffusionModel.Architecture
  private let textParameters, unetParameters, vaeParameters: Int
  /// Whether the float32 weights lie in their files, whose pages the system takes back when others need the memory.
  private let isMapped: Bool
  private let threads: Int

  /// Program, libraries and what is too small to be counted.
  private static let program = 64 << 20
  private static let value = MemoryLayout<Float>.size

  /// Reads the configurations of a folder and the headers of its weights.
  ///
  /// - Throws: what `ModelSummary` does.
  public init(folder: String) throws {
    try self.init(ModelSummary(folder: folder), DiffusionModel.Architecture(of: folder), threads: Parallel.threadCount)
  }

  init(_ summary: ModelSummary, _ architecture: DiffusionModel.Architecture, threads: Int) {
    func parameters(_ part: String) -> Int { summary.parts.first { $0.name == part }?.parameters ?? 0 }
    self.architecture = architecture
    self.threads = threads
    textParameters = parameters("text_encoder")
    unetParameters = parameters("unet")
    vaeParameters = parameters("vae")
    isMapped = summary.precision == .float32
  }

  /// The gradients of all of the UNet's weights, or a sum of them.
  public var unetGradients: Int { Self.value * unetParameters }

  /// A model that is ready to compute.
  public var model: Int { Self.program + Self.value * (textParameters + unetParameters + vaeParameters) }

  /// A model that draws with weights in half precision, beside the one in float32 that it was made from.
  public var halfModel: Int {
    let (text, unet) = (architecture.text.arithmetic(prompts: 1), unet(batch: 1, settings: SamplerSettings()))
    let halved = [text, unet, decoder(SamplerSettings()), encoder].flatMap(\.layers).map(\.operation.parameters)
      .filter { $0 > Weights.largestWhole }
    let kept = model - Self.program - halved.reduce(0, +) * Self.value / 2
    // Each thread may have a layer's weights widened.
    return (isMapped ? Self.program : model) + kept + threads * (halved.max() ?? 0) * Self.value
  }

  /// Drawing images.
  ///
  /// - Parameters:
  ///   - images: at a time
  ///   - texts: that each step asks about
  ///   - half: whether the weights are kept in half precision
  public func drawing(images: Int, texts: Int, _ settings: SamplerSettings, half: Bool) -> Int {
    // As the sampler cuts a batch: each thread takes images of its own where there are enough.
    let piece = images > 1 && images >= threads ? min(4, (images + threads - 1) / threads) : images
    let together = min(threads, (images + piece - 1) / piece)
    let steps = together * unet(batch: piece * texts, settings: settings).forwardBytes
    let pictures = min(images, threads) * decoder(settings).forwardBytes
    return (half ? halfModel : model) + max(steps, pictures)
  }

  /// Pictures that somebody asks for by hand.
  ///
  /// - Throws: `SafetensorsError` for a file that does not hold latents.
  func drawing(
    _ start: PictureOrder.Start, texts: Int, _ settings: SamplerSettings, half: Bool
  ) throws -> MemoryNeed {
    let (count, size) = try PictureOrder.extent(start)
    var settings = settings
    if let size {
      settings.height = size.height * architecture.vae.reduction
      settings.width = size.width * architecture.vae.reduction
    }
    return MemoryNeed(
      "drawing",
      .drawing(images: min(count, PictureOrder.batchSize)) { [settings] in
        drawing(images: $0, texts: texts, settings, half: half)
      })
  }

  /// Gradients of the UNet's loss, of so many samples at a time.
  ///
  /// - Parameter withWeights: whether all weights are asked for, rather than the text or few of the weights
  public func gradients(samples: Int, _ checkpointing: Checkpointing, withWeights: Bool) -> Int {
    let pass = unet(batch: 1, settings: SamplerSettings())
    return model + samples * pass.gradientBytes(checkpointing, withWeights: withWeights)
  }

  /// A technique's training, of so many samples at a time.
  func training(_ memory: TrainingMemory, samples: Int, _ checkpointing: Checkpointing) -> Int {
    gradients(samples: samples, checkpointing, withWeights: false)
      + memory.bytes(weights: weights(of: memory.group), samplesAtATime: samples)
  }

  /// The UNet's weights of a group, biases with them.
  func weights(of group: ParameterGroup) -> Int {
    let members = unet(batch: 1, settings: SamplerSettings()).layers.filter { layer in
      group.contains(layer.name + ".weight", rank: layer.operation.weightRank)
    }
    return Self.value * members.reduce(0) { $0 + $1.operation.parameters }
  }

  /// A part alone in its process.
  public func bytes(of benchmark: PartBenchmark, _ checkpointing: Checkpointing) -> Int {
    let batch = benchmark.batch ?? benchmark.work.usualBatch
    var settings = SamplerSettings()
    settings.height = benchmark.latentSize.map { $0 * architecture.vae.reduction }
    settings.width = settings.height
    switch benchmark.work {
    case .unetForward:
      return Self.program + unetGradients + unet(batch: batch, settings: settings).forwardBytes
    case .unetGradient:
      let pass = unet(batch: batch, settings: settings)
      return Self.program + unetGradients + pass.gradientBytes(checkpointing, withWeights: true)
    case .vaeDecode:
      return Self.program + Self.value * vaeParameters + batch * decoder(settings).forwardBytes
    }
  }

  private func size(_ settings: SamplerSettings) -> (height: Int, width: Int) {
    let (trained, reduction) = (architecture.unet.sampleSize, architecture.vae.reduction)
    return (settings.height.map { $0 / reduction } ?? trained, settings.width.map { $0 / reduction } ?? trained)
  }

  private func unet(batch: Int, settings: SamplerSettings) -> Arithmetic {
    let size = size(settings)
    return architecture.unet.arithmetic(
      batch: batch, height: size.height, width: size.width, positions: architecture.text.maxPositions)
  }

  private func decoder(_ settings: SamplerSettings) -> Arithmetic {
    let size = size(settings)
    return architecture.vae.decoderArithmetic(batch: 1, height: size.height, width: size.width)
  }

  private var encoder: Arithmetic {
    let side = architecture.unet.sampleSize * architecture.vae.reduction
    return architecture.vae.encoderArithmetic(batch: 1, height: side, width: side)
  }
}
