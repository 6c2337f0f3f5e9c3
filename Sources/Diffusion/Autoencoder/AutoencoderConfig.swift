public import Configuration

/// The architecture of an ``AutoencoderKL``: the `vae/config.json` of a diffusers folder.
public struct AutoencoderConfig: Sendable, Equatable {
  public var inChannels = 3
  public var outChannels = 3
  /// Channels of each level, finest first.
  public var blockChannels = [128, 256, 512, 512]
  public var layersPerBlock = 2
  public var latentChannels = 4
  public var activation = Activation.silu
  public var normGroups = 32
  /// Height and width of the images that the model was trained on, in pixels.
  public var sampleSize = 512
  /// Latents of the diffusion model are latents of the autoencoder times this.
  public var scalingFactor = 0.18215
  public var usesQuantConv = true
  public var usesPostQuantConv = true
  public var midBlockAttention = true

  /// Stable Diffusion v1's architecture.
  public init() {}

  /// An image has this many times the height and width of its latent.
  public var reduction: Int { 1 << (blockChannels.count - 1) }
}

extension AutoencoderConfig {
  /// Reads a diffusers configuration; absent keys have diffusers' defaults.
  ///
  /// - Throws: ``ModelFolderError`` for a value of another type, or a setting that Lethe does not support.
  public init(_ file: ConfigurationFile) throws {
    try file.require("_class_name", "AutoencoderKL", absent: "AutoencoderKL")
    inChannels = try file.integer("in_channels", default: 3)
    outChannels = try file.integer("out_channels", default: 3)
    blockChannels = try file.integers("block_out_channels", default: [64])
    layersPerBlock = try file.integer("layers_per_block", default: 1)
    latentChannels = try file.integer("latent_channels", default: 4)
    activation = try file.activation("act_fn", default: .silu)
    normGroups = try file.integer("norm_num_groups", default: 32)
    for channels in blockChannels where channels % normGroups != 0 {
      throw file.error("norm_num_groups", "\(channels) channels cannot be cut into \(normGroups) groups")
    }
    sampleSize = try file.uniform("sample_size", default: 32)
    scalingFactor = try file.number("scaling_factor", default: 0.18215)
    guard scalingFactor > 0 else { throw file.error("scaling_factor", "a number above 0 was expected") }
    usesQuantConv = try file.boolean("use_quant_conv", default: true)
    usesPostQuantConv = try file.boolean("use_post_quant_conv", default: true)
    midBlockAttention = try file.boolean("mid_block_add_attention", default: true)
    for (key, type) in [("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")] {
      let types = try file.strings(key, default: Array(repeating: type, count: blockChannels.count))
      for name in types where name != type {
        throw file.error(key, "the block \"\(name)\" is not supported, only \(type)")
      }
      guard types.count == blockChannels.count else {
        throw file.error(key, "\(types.count) blocks for the \(blockChannels.count) levels of `block_out_channels`")
      }
    }
    for key in ["shift_factor", "latents_mean", "latents_std"] { try file.require(key, .null) }
    // About half precision, while the arithmetic here is float32.
    try file.refuseOthers(than: AutoencoderConfig.settings, harmless: ["force_upcast"])
  }

  private static let settings = [
    "in_channels", "out_channels", "block_out_channels", "layers_per_block", "latent_channels", "act_fn",
    "norm_num_groups", "sample_size", "scaling_factor", "use_quant_conv", "use_post_quant_conv",
    "mid_block_add_attention", "down_block_types", "up_block_types",
  ]

  /// The configuration as diffusers writes it.
  public var json: JSON {
    .object([
      "_class_name": .string("AutoencoderKL"),
      "_diffusers_version": .string(writtenDiffusersVersion),
      "in_channels": .integer(inChannels),
      "out_channels": .integer(outChannels),
      "block_out_channels": .array(blockChannels.map(JSON.integer)),
      "down_block_types": .array(blockChannels.map { _ in .string("DownEncoderBlock2D") }),
      "up_block_types": .array(blockChannels.map { _ in .string("UpDecoderBlock2D") }),
      "layers_per_block": .integer(layersPerBlock),
      "latent_channels": .integer(latentChannels),
      "act_fn": .string(activation.rawValue),
      "norm_num_groups": .integer(normGroups),
      "sample_size": .integer(sampleSize),
      "scaling_factor": .number(scalingFactor),
      "use_quant_conv": .bool(usesQuantConv),
      "use_post_quant_conv": .bool(usesPostQuantConv),
      "mid_block_add_attention": .bool(midBlockAttention),
    ])
  }
}
