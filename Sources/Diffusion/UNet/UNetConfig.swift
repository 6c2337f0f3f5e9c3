public import Configuration

/// The architecture of a ``UNet2DConditionModel``: the `unet/config.json` of a diffusers folder.
public struct UNetConfig: Sendable, Equatable {
  /// What a level of the network consists of.
  public enum BlockType: Sendable, Equatable {
    /// ResNet blocks alone (`DownBlock2D`, `UpBlock2D`).
    case plain
    /// ResNet blocks, each followed by transformer blocks (`CrossAttnDownBlock2D`, `CrossAttnUpBlock2D`).
    case crossAttention
  }

  /// Height and width of the latents that the model was trained on.
  public var sampleSize = 64
  public var inChannels = 4
  public var outChannels = 4
  /// Whether latents are mapped from [0, 1] to [-1, 1] first.
  public var centersInput = false
  /// Whether the time embedding is cosines then sines, not sines then cosines.
  public var flipSinToCos = true
  public var frequencyShift = 0.0
  /// From the finest level to the coarsest.
  public var downBlocks: [BlockType] = [.crossAttention, .crossAttention, .crossAttention, .plain]
  /// Whether the middle has a transformer between its two ResNet blocks.
  public var midBlock: BlockType = .crossAttention
  /// From the coarsest level to the finest.
  public var upBlocks: [BlockType] = [.plain, .crossAttention, .crossAttention, .crossAttention]
  /// Channels of each level, finest first; so are all lists below.
  public var blockChannels = [320, 640, 1280, 1280]
  public var layersPerBlock = [2, 2, 2, 2]
  public var transformerLayers = [1, 1, 1, 1]
  /// Heads of each level: diffusers writes this number as `attention_head_dim`. A folder that has it as
  /// `num_attention_heads`, which diffusers itself refuses until it renames the other, is read as well.
  public var heads = [8, 8, 8, 8]
  public var downsamplePadding = 1
  public var midBlockScale = 1.0
  public var activation = Activation.silu
  public var normGroups = 32
  public var normEpsilon = 1e-5
  /// Width of the text encoder's hidden states.
  public var crossAttentionSize = 768
  public var useLinearProjection = false
  public var timeEmbeddingSize: Int?
  public var convInKernel = 3
  public var convOutKernel = 3

  /// Stable Diffusion v1's architecture.
  public init() {}

  /// Width of the time embedding after its two layers.
  var timeChannels: Int { timeEmbeddingSize ?? 4 * blockChannels[0] }
}

extension UNetConfig {
  private static let downNames: [String: BlockType] = ["DownBlock2D": .plain, "CrossAttnDownBlock2D": .crossAttention]
  private static let midNames: [String: BlockType] = [
    "UNetMidBlock2D": .plain, "UNetMidBlock2DCrossAttn": .crossAttention,
  ]
  private static let upNames: [String: BlockType] = ["UpBlock2D": .plain, "CrossAttnUpBlock2D": .crossAttention]

  /// Reads a diffusers configuration; absent keys have diffusers' defaults.
  ///
  /// - Throws: ``ModelFolderError`` for a value of another type, or a setting that Lethe does not support.
  public init(_ file: ConfigurationFile) throws {
    try file.require("_class_name", "UNet2DConditionModel", absent: "UNet2DConditionModel")
    inChannels = try file.integer("in_channels", default: 4)
    outChannels = try file.integer("out_channels", default: 4)
    sampleSize = try file.uniform("sample_size")
    centersInput = try file.boolean("center_input_sample", default: false)
    flipSinToCos = try file.boolean("flip_sin_to_cos", default: true)
    frequencyShift = try file.number("freq_shift", default: 0)
    blockChannels = try file.integers("block_out_channels", default: [320, 640, 1280, 1280])
    let levels = blockChannels.count
    downBlocks = try UNetConfig.blocks(file, "down_block_types", UNetConfig.downNames, levels, [1, 1, 1, 0])
    upBlocks = try UNetConfig.blocks(file, "up_block_types", UNetConfig.upNames, levels, [0, 1, 1, 1])
    let middle = try file.string("mid_block_type", default: "UNetMidBlock2DCrossAttn")
    midBlock = try UNetConfig.block(file, "mid_block_type", middle, UNetConfig.midNames)
    layersPerBlock = try file.integers("layers_per_block", default: 2, levels: levels)
    transformerLayers = try file.integers("transformer_layers_per_block", default: 1, levels: levels)
    // diffusers itself takes the number of heads from `attention_head_dim`, whose name is a mistake that it keeps.
    let headsKey = file.has("num_attention_heads") ? "num_attention_heads" : "attention_head_dim"
    heads = try file.integers(headsKey, default: 8, levels: levels)
    for (channels, heads) in zip(blockChannels, heads) where channels % heads != 0 {
      throw file.error(headsKey, "\(channels) channels cannot be shared by \(heads) heads")
    }
    downsamplePadding = try file.integer("downsample_padding", default: 1, atLeast: 0)
    midBlockScale = try file.number("mid_block_scale_factor", default: 1)
    activation = try file.activation("act_fn", default: .silu)
    if file.isNull("norm_num_groups") {
      throw file.error("norm_num_groups", "a model without group norms is not supported")
    }
    normGroups = try file.integer("norm_num_groups", default: 32)
    for channels in blockChannels where channels % normGroups != 0 {
      throw file.error("norm_num_groups", "\(channels) channels cannot be cut into \(normGroups) groups")
    }
    normEpsilon = try file.number("norm_eps", default: 1e-5)
    crossAttentionSize = try file.uniform("cross_attention_dim", default: 1280)
    useLinearProjection = try file.boolean("use_linear_projection", default: false)
    timeEmbeddingSize = file.has("time_embedding_dim") ? try file.integer("time_embedding_dim") : nil
    convInKernel = try UNetConfig.oddKernel(file, "conv_in_kernel")
    convOutKernel = try UNetConfig.oddKernel(file, "conv_out_kernel")
    try UNetConfig.refuseUnsupported(file)
  }

  private static func blocks(
    _ file: ConfigurationFile, _ key: String, _ names: [String: BlockType], _ levels: Int, _ fallback: [Int]
  ) throws -> [BlockType] {
    guard file.has(key) else { return fallback.map { $0 == 1 ? .crossAttention : .plain } }
    let types = try file.strings(key)
    guard types.count == levels else {
      throw file.error(key, "\(types.count) blocks for the \(levels) levels of `block_out_channels`")
    }
    return try types.map { try block(file, key, $0, names) }
  }

  private static func block(
    _ file: ConfigurationFile, _ key: String, _ name: String, _ names: [String: BlockType]
  ) throws -> BlockType {
    guard let type = names[name] else {
      throw file.error(
        key, "the block \"\(name)\" is not supported, only \(names.keys.sorted().joined(separator: ", "))")
    }
    return type
  }

  private static func oddKernel(_ file: ConfigurationFile, _ key: String) throws -> Int {
    let kernel = try file.integer(key, default: 3)
    guard kernel % 2 == 1 else {
      throw file.error(key, "a convolution of even extent \(kernel) changes the size of a latent")
    }
    return kernel
  }

  /// Settings of the wider family (SDXL, upscalers, image variations) that change the result.
  private static func refuseUnsupported(_ file: ConfigurationFile) throws {
    for key in [
      "encoder_hid_dim", "encoder_hid_dim_type", "class_embed_type", "addition_embed_type",
      "num_class_embeds", "timestep_post_act", "time_cond_proj_dim", "time_embedding_act_fn", "cross_attention_norm",
      "reverse_transformer_layers_per_block", "addition_time_embed_dim", "projection_class_embeddings_input_dim",
    ] {
      try file.require(key, .null)
    }
    for key in ["only_cross_attention", "dual_cross_attention", "resnet_skip_time_act", "class_embeddings_concat"] {
      try file.require(key, .bool(false), absent: .bool(false))
    }
    try file.require("mid_block_only_cross_attention", .null, .bool(false))
    try file.require("dropout", .integer(0), absent: .integer(0))
    try file.require("resnet_time_scale_shift", .string("default"), absent: .string("default"))
    try file.require("resnet_out_scale_factor", .integer(1), absent: .integer(1))
    try file.require("time_embedding_type", .string("positional"), absent: .string("positional"))
    try file.require("attention_type", .string("default"), absent: .string("default"))
    // `upcast_attention` is about half precision, and the arithmetic here is float32; the other has no effect alone.
    try file.refuseOthers(than: settings, harmless: ["upcast_attention", "addition_embed_type_num_heads"])
  }

  private static let settings = [
    "in_channels", "out_channels", "sample_size", "center_input_sample", "flip_sin_to_cos", "freq_shift",
    "block_out_channels", "down_block_types", "up_block_types", "mid_block_type", "layers_per_block",
    "transformer_layers_per_block", "attention_head_dim", "num_attention_heads", "downsample_padding",
    "mid_block_scale_factor", "act_fn", "norm_num_groups", "norm_eps", "cross_attention_dim", "use_linear_projection",
    "time_embedding_dim", "conv_in_kernel", "conv_out_kernel", "dropout", "resnet_time_scale_shift",
    "resnet_out_scale_factor", "time_embedding_type", "attention_type",
  ]

  /// The configuration as diffusers writes it.
  public var json: JSON {
    func perLevel(_ values: [Int]) -> JSON {
      let first = values[0]
      return values.allSatisfy { $0 == first } ? .integer(first) : .array(values.map(JSON.integer))
    }
    var keys: [String: JSON] = [
      "_class_name": .string("UNet2DConditionModel"),
      "_diffusers_version": .string(writtenDiffusersVersion),
      "sample_size": .integer(sampleSize),
      "in_channels": .integer(inChannels),
      "out_channels": .integer(outChannels),
      "center_input_sample": .bool(centersInput),
      "flip_sin_to_cos": .bool(flipSinToCos),
      "freq_shift": .number(frequencyShift),
      "down_block_types": .array(
        downBlocks.map { .string($0 == .plain ? "DownBlock2D" : "CrossAttnDownBlock2D") }),
      "mid_block_type": .string(midBlock == .plain ? "UNetMidBlock2D" : "UNetMidBlock2DCrossAttn"),
      "up_block_types": .array(upBlocks.map { .string($0 == .plain ? "UpBlock2D" : "CrossAttnUpBlock2D") }),
      "block_out_channels": .array(blockChannels.map(JSON.integer)),
      "layers_per_block": perLevel(layersPerBlock),
      "transformer_layers_per_block": perLevel(transformerLayers),
      "attention_head_dim": perLevel(heads),
      "downsample_padding": .integer(downsamplePadding),
      "mid_block_scale_factor": .number(midBlockScale),
      "act_fn": .string(activation.rawValue),
      "norm_num_groups": .integer(normGroups),
      "norm_eps": .number(normEpsilon),
      "cross_attention_dim": .integer(crossAttentionSize),
      "use_linear_projection": .bool(useLinearProjection),
      "conv_in_kernel": .integer(convInKernel),
      "conv_out_kernel": .integer(convOutKernel),
    ]
    if let timeEmbeddingSize { keys["time_embedding_dim"] = .integer(timeEmbeddingSize) }
    return .object(keys)
  }
}
