internal import Configuration
public import Tensors

/// A text-to-image latent diffusion model: text encoder, noise predictor, autoencoder, tokenizer and noise schedule.
///
/// A value: an edited model is a new one made by ``replacingUNetWeights(_:)`` or ``replacingTextEncoderWeights(_:)``,
/// which shares what was not replaced.
public struct DiffusionModel {
  /// The architecture of every part.
  public struct Architecture: Sendable, Equatable {
    public var text: CLIPTextConfig
    public var unet: UNetConfig
    public var vae: AutoencoderConfig
    public var scheduler: SchedulerConfig

    public init(text: CLIPTextConfig, unet: UNetConfig, vae: AutoencoderConfig, scheduler: SchedulerConfig) {
      self.text = text
      self.unet = unet
      self.vae = vae
      self.scheduler = scheduler
    }
  }

  public let architecture: Architecture
  public let textWeights: Weights
  public let unetWeights: Weights
  public let vaeWeights: Weights
  /// The folder that ``tokenizer`` was read from, and that its files are copied from when the model is written.
  public let tokenizerFolder: String
  public let tokenizer: CLIPTokenizer
  /// What the model says about itself, where it does.
  public var card: ModelCard?

  public let textEncoder: CLIPTextModel
  public let unet: UNet2DConditionModel
  public let vae: AutoencoderKL
  /// The noise that the model was trained with.
  public let schedule: NoiseSchedule
  private var stamps = FileStamps(of: [])
  /// What the files do not say and was taken for granted, one sentence each.
  public private(set) var assumptions: [String] = []
  /// What an edit of inference time changes while images are drawn.
  public var intervention = SamplingIntervention()

  /// A model from its parts, checked to fit together.
  ///
  /// - Throws: ``ModelFolderError``, `WeightsError` or ``TokenizerError``, each one sentence that names file and key.
  public init(
    _ architecture: Architecture, textWeights: Weights, unetWeights: Weights, vaeWeights: Weights,
    tokenizerFolder: String, card: ModelCard? = nil
  ) throws {
    self.architecture = architecture
    self.textWeights = textWeights
    self.unetWeights = unetWeights
    self.vaeWeights = vaeWeights
    self.tokenizerFolder = tokenizerFolder
    self.card = card
    try Self.checkLevels(architecture.unet, unetWeights)
    tokenizer = try CLIPTokenizer(folder: tokenizerFolder)
    for weights in [textWeights, unetWeights, vaeWeights] { weights.noteProblems() }
    textEncoder = try CLIPTextModel(architecture.text, textWeights)
    unet = try UNet2DConditionModel(architecture.unet, unetWeights)
    vae = try AutoencoderKL(architecture.vae, vaeWeights)
    schedule = NoiseSchedule(architecture.scheduler)
    for weights in [textWeights, unetWeights, vaeWeights] { try weights.refuseProblems() }
    try checkFit()
  }

  /// Reads a diffusers folder as `StableDiffusionPipeline` writes it, or a single file in the naming of Stable
  /// Diffusion's own code (``Checkpoint``). Configurations, or the shapes of a single file's weights, decide all sizes.
  ///
  /// Weights that the files have in float32 are read where they lie: see ``confirmUnchanged()``.
  ///
  /// - Throws: ``ModelFolderError``, `WeightsError`, `SafetensorsError`, `FileError`, ``TokenizerError`` or
  ///   ``ModelCardError``, each one sentence that names file and key.
  public init(folder path: String) throws {
    if Checkpoint.isFile(path) {
      let checkpoint = try Checkpoint(path)
      try self.init(
        checkpoint.architecture, textWeights: checkpoint.weights(.textEncoder), unetWeights: checkpoint.weights(.unet),
        vaeWeights: checkpoint.weights(.vae), tokenizerFolder: checkpoint.tokenizer)
      assumptions = checkpoint.assumptions
      stamps = checkpoint.stamps
      try confirmUnchanged()
      return
    }
    let folder = try ModelFolder(path)
    try self.init(
      Architecture(folder), textWeights: folder.weights(.textEncoder), unetWeights: folder.weights(.unet),
      vaeWeights: folder.weights(.vae), tokenizerFolder: folder.tokenizer, card: ModelCard.load(folder: path))
    stamps = folder.stamps
    try confirmUnchanged()
  }

  /// Weights are read where their files lie, so that writing over a file in place changes a model that was read from
  /// it. This tells whether it happened.
  ///
  /// - Throws: ``ModelFolderError`` naming a file that is not as it was when the model began to be read.
  public func confirmUnchanged() throws { try stamps.confirmUnchanged() }

  /// The files that the weights come from, each once.
  public var weightFiles: [String] {
    var files: [String] = []
    for source in [textWeights.source, unetWeights.source, vaeWeights.source] where !files.contains(source) {
      files.append(source)
    }
    return files
  }

  private init(_ model: DiffusionModel, textWeights: Weights, unetWeights: Weights, vaeWeights: Weights) throws {
    architecture = model.architecture
    tokenizerFolder = model.tokenizerFolder
    tokenizer = model.tokenizer
    card = model.card
    schedule = model.schedule
    stamps = model.stamps
    assumptions = model.assumptions
    intervention = model.intervention
    self.textWeights = textWeights
    self.unetWeights = unetWeights
    self.vaeWeights = vaeWeights
    textEncoder = try CLIPTextModel(architecture.text, textWeights)
    unet = try UNet2DConditionModel(architecture.unet, unetWeights)
    vae = try AutoencoderKL(architecture.vae, vaeWeights)
  }

  /// This model with some of the UNet's weights replaced; everything else is shared.
  ///
  /// - Parameter replacements: by full name, each of the shape of the weight that it replaces
  /// - Throws: ``ModelFolderError`` for a name or a shape that the UNet does not have.
  public func replacingUNetWeights(_ replacements: [String: Tensor]) throws -> DiffusionModel {
    try replacingUNetWeights(Self.weights(unetWeights, of: "UNet", replacing: replacements))
  }

  /// This model with another set of UNet weights of the same names and shapes.
  public func replacingUNetWeights(_ weights: Weights) throws -> DiffusionModel {
    try DiffusionModel(self, textWeights: textWeights, unetWeights: weights, vaeWeights: vaeWeights)
  }

  /// This model with some of the text encoder's weights replaced; everything else is shared.
  ///
  /// - Parameter replacements: by full name, each of the shape of the weight that it replaces
  /// - Throws: ``ModelFolderError`` for a name or a shape that the text encoder does not have.
  public func replacingTextEncoderWeights(_ replacements: [String: Tensor]) throws -> DiffusionModel {
    try DiffusionModel(
      self, textWeights: Self.weights(textWeights, of: "text encoder", replacing: replacements),
      unetWeights: unetWeights, vaeWeights: vaeWeights)
  }

  private static func weights(
    _ weights: Weights, of part: String, replacing replacements: [String: Tensor]
  ) throws -> Weights {
    for (name, tensor) in replacements.sorted(by: { $0.key < $1.key }) {
      guard let weight = weights[name] else {
        let hint = nearest(to: name, among: weights.names).map { "; did you mean `\($0)`?" } ?? ""
        throw refuse(weights, name, "the \(part) has no such weight\(hint)")
      }
      guard weight.shape == tensor.shape else {
        throw refuse(
          weights, name, "a tensor of shape \(tensor.shape) cannot replace a weight of shape \(weight.shape)")
      }
    }
    return weights.replacing(replacements)
  }

  /// This model with all weights rounded to half precision, and the large ones of convolutions and linear layers kept
  /// in it: each is widened for the time of its layer, and arithmetic stays float32. Gradients of weights are asked of
  /// the model that this one was made from.
  public func roundedToHalf() throws -> DiffusionModel {
    try DiffusionModel(
      self, textWeights: textWeights.roundedToHalf(), unetWeights: unetWeights.roundedToHalf(),
      vaeWeights: vaeWeights.roundedToHalf())
  }

  /// What a UNet cannot be built without, or cannot compute with: its levels have as many blocks as widths, on the way
  /// down and on the way up, and a level halves its input so that the way up finds the size of the way down again.
  private static func checkLevels(_ unet: UNetConfig, _ weights: Weights) throws {
    let levels = unet.blockChannels.count
    for (key, blocks) in [("down_block_types", unet.downBlocks), ("up_block_types", unet.upBlocks)]
    where blocks.count != levels {
      throw refuse(weights, key, "\(blocks.count) blocks for the \(levels) levels of `block_out_channels`")
    }
    guard (0...1).contains(unet.downsamplePadding) else {
      throw refuse(weights, "downsample_padding", "\(unet.downsamplePadding) is not supported, only 0 or 1")
    }
  }

  private static func refuse(_ weights: Weights, _ key: String, _ message: String) -> ModelFolderError {
    ModelFolderError(file: weights.source, key: key, message)
  }

  private func checkFit() throws {
    let refuse = Self.refuse
    let (text, unet, vae) = (architecture.text, architecture.unet, architecture.vae)
    for (key, channels) in [("in_channels", vae.inChannels), ("out_channels", vae.outChannels)] where channels != 3 {
      throw refuse(vaeWeights, key, "an autoencoder of \(channels) channels does not fit pictures of 3")
    }
    guard unet.inChannels == vae.latentChannels, unet.outChannels == vae.latentChannels else {
      throw refuse(
        unetWeights, "in_channels",
        "a UNet of \(unet.inChannels) to \(unet.outChannels) channels does not fit latents of \(vae.latentChannels)")
    }
    guard unet.crossAttentionSize == text.tower.hiddenSize else {
      throw refuse(
        unetWeights, "cross_attention_dim",
        "\(unet.crossAttentionSize) does not fit a text encoder of width \(text.tower.hiddenSize)")
    }
    guard unet.sampleSize % self.unet.resolution == 0 else {
      throw refuse(
        unetWeights, "sample_size",
        "\(unet.sampleSize) is not a multiple of \(self.unet.resolution), as \(unet.blockChannels.count) levels ask for"
      )
    }
    guard tokenizer.modelMaxLength <= text.maxPositions, tokenizer.vocabulary.count <= text.vocabularySize else {
      throw refuse(
        textWeights, "vocab_size",
        "a tokenizer of \(tokenizer.vocabulary.count) tokens and \(tokenizer.modelMaxLength) positions does not fit"
          + " a text encoder of \(text.vocabularySize) and \(text.maxPositions)")
    }
  }
}
