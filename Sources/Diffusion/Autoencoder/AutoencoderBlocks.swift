internal import Tensors

/// Self-attention over the positions of a feature map, one head, behind a group norm and a residual connection.
struct AutoencoderAttention {
  let norm: GroupNorm
  let query, key, value, output: Linear

  init(_ weights: Weights, channels: Int, groups: Int) throws {
    norm = try GroupNorm(weights.scope("group_norm"), channels: channels, groups: groups, epsilon: 1e-6)
    // Folders written before diffusers 0.17, Stable Diffusion v1's among them, have the older names.
    let isOld = weights.contains("proj_attn.weight")
    func layer(_ name: String, _ oldName: String) throws -> Linear {
      try Linear(weights.scope(isOld ? oldName : name), inputs: channels, outputs: channels)
    }
    query = try layer("to_q", "query")
    key = try layer("to_k", "key")
    value = try layer("to_v", "value")
    output = try layer("to_out.0", "proj_attn")
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let (batch, channels, height, width) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    let sequence = norm(x).reshaped([batch, channels, height * width]).transposedLast()
    let attended = output(
      attention(query: query(sequence), key: key(sequence), value: value(sequence), heads: 1, causal: false))
    return attended.transposedLast().reshaped([batch, channels, height, width]) + x
  }
}

/// The coarsest resolution of encoder and decoder.
struct AutoencoderMidBlock {
  let resnets: [ResnetBlock]
  let attention: AutoencoderAttention?

  init(_ weights: Weights, _ config: AutoencoderConfig) throws {
    let channels = config.blockChannels[config.blockChannels.count - 1]
    resnets = try (0..<2).map { index in
      try .untimed(weights.scope("resnets.\(index)"), inputs: channels, outputs: channels, config)
    }
    attention =
      config.midBlockAttention
      ? try AutoencoderAttention(weights.scope("attentions.0"), channels: channels, groups: config.normGroups) : nil
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let x = resnets[0](x)
    return resnets[1](attention?(x) ?? x)
  }
}

/// Images to the moments of a latent distribution.
struct AutoencoderEncoder {
  private struct Level {
    let resnets: [ResnetBlock]
    let downsampler: Downsampler?
  }

  private let convIn: Conv2d
  private let levels: [Level]
  private let midBlock: AutoencoderMidBlock
  private let normOut: GroupNorm
  private let convOut: Conv2d

  init(_ weights: Weights, _ config: AutoencoderConfig) throws {
    let channels = config.blockChannels
    let last = channels.count - 1
    convIn = try Conv2d(weights.scope("conv_in"), inputs: config.inChannels, outputs: channels[0])
    levels = try channels.indices.map { level in
      let scope = weights.scope("down_blocks.\(level)")
      let inputs = channels[max(level - 1, 0)]
      return Level(
        resnets: try (0..<config.layersPerBlock).map { layer in
          try .untimed(
            scope.scope("resnets.\(layer)"), inputs: layer == 0 ? inputs : channels[level], outputs: channels[level],
            config)
        },
        downsampler: level == last
          ? nil : try Downsampler(scope.scope("downsamplers.0"), channels: channels[level], padding: 0))
    }
    midBlock = try AutoencoderMidBlock(weights.scope("mid_block"), config)
    normOut = try GroupNorm(
      weights.scope("conv_norm_out"), channels: channels[last], groups: config.normGroups, epsilon: 1e-6)
    convOut = try Conv2d(weights.scope("conv_out"), inputs: channels[last], outputs: 2 * config.latentChannels)
  }

  func callAsFunction(_ images: Tensor) -> Tensor {
    var x = convIn(images)
    for level in levels {
      for resnet in level.resnets { x = resnet(x) }
      if let downsampler = level.downsampler { x = downsampler(x) }
    }
    // This activation is fixed in diffusers, whatever `act_fn` says.
    return convOut(normOut(midBlock(x), .silu))
  }
}

/// Latents to images.
struct AutoencoderDecoder {
  private struct Level {
    let resnets: [ResnetBlock]
    let upsampler: Conv2d?
  }

  private let convIn: Conv2d
  private let midBlock: AutoencoderMidBlock
  private let levels: [Level]
  private let normOut: GroupNorm
  private let convOut: Conv2d

  init(_ weights: Weights, _ config: AutoencoderConfig) throws {
    let channels = Array(config.blockChannels.reversed())
    let last = channels.count - 1
    convIn = try Conv2d(weights.scope("conv_in"), inputs: config.latentChannels, outputs: channels[0])
    midBlock = try AutoencoderMidBlock(weights.scope("mid_block"), config)
    levels = try channels.indices.map { level in
      let scope = weights.scope("up_blocks.\(level)")
      let inputs = channels[max(level - 1, 0)]
      return Level(
        resnets: try (0...config.layersPerBlock).map { layer in
          try .untimed(
            scope.scope("resnets.\(layer)"), inputs: layer == 0 ? inputs : channels[level], outputs: channels[level],
            config)
        },
        upsampler: level == last
          ? nil : try Conv2d(scope.scope("upsamplers.0.conv"), inputs: channels[level], outputs: channels[level]))
    }
    normOut = try GroupNorm(
      weights.scope("conv_norm_out"), channels: channels[last], groups: config.normGroups, epsilon: 1e-6)
    convOut = try Conv2d(weights.scope("conv_out"), inputs: channels[last], outputs: config.outChannels)
  }

  func callAsFunction(_ latents: Tensor) -> Tensor {
    var x = midBlock(convIn(latents))
    for level in levels {
      for resnet in level.resnets { x = resnet(x) }
      if let upsampler = level.upsampler { x = upsampler(upsampleNearest2x(x)) }
    }
    // This activation is fixed in diffusers, whatever `act_fn` says.
    return convOut(normOut(x, .silu))
  }
}

extension ResnetBlock {
  /// A block without a time embedding, as the autoencoder has them.
  static func untimed(
    _ weights: Weights, inputs: Int, outputs: Int, _ config: AutoencoderConfig
  ) throws -> ResnetBlock {
    try ResnetBlock(
      weights, inputs: inputs, outputs: outputs, groups: config.normGroups, epsilon: 1e-6,
      activation: config.activation)
  }
}
