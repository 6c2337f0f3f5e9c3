internal import Tensors

/// One level on the way down: ResNet blocks, transformers where it has any, and a strided convolution unless it is
/// the coarsest.
struct DownBlock {
  let resnets: [ResnetBlock]
  let transformers: [SpatialTransformer]
  let downsampler: Downsampler?

  init(_ weights: Weights, level: Int, _ config: UNetConfig, _ shared: UNetSharedLayers) throws {
    let outputs = config.blockChannels[level]
    let inputs = level == 0 ? config.blockChannels[0] : config.blockChannels[level - 1]
    var resnets: [ResnetBlock] = []
    var transformers: [SpatialTransformer] = []
    for layer in 0..<config.layersPerBlock[level] {
      resnets.append(
        try .timed(
          weights.scope("resnets.\(layer)"), inputs: layer == 0 ? inputs : outputs, outputs: outputs, config, shared))
      if config.downBlocks[level] == .crossAttention {
        transformers.append(
          try SpatialTransformer(
            weights.scope("attentions.\(layer)"), channels: outputs, heads: config.heads[level],
            layers: config.transformerLayers[level], config, shared))
      }
    }
    self.resnets = resnets
    self.transformers = transformers
    downsampler =
      level == config.blockChannels.count - 1
      ? nil
      : try Downsampler(weights.scope("downsamplers.0"), channels: outputs, padding: config.downsamplePadding)
  }

  /// - Parameter skips: gains what the way up will need, in order.
  func callAsFunction(
    _ x: Tensor, _ time: PreparedTimesteps, _ text: PreparedText, _ hooks: UNetHooks?, skips: inout [Tensor]
  ) -> Tensor {
    var x = x
    for (layer, resnet) in resnets.enumerated() {
      x = resnet(x, time, hooks, onWayUp: false)
      if !transformers.isEmpty { x = transformers[layer](x, text, hooks, onWayUp: false) }
      skips.append(x)
    }
    if let downsampler {
      x = downsampler(x)
      skips.append(x)
    }
    return x
  }
}

/// The coarsest resolution: ResNet block, and transformer and another ResNet block where it attends to text.
struct MidBlock {
  let resnets: [ResnetBlock]
  let transformer: SpatialTransformer?

  init(_ weights: Weights, _ config: UNetConfig, _ shared: UNetSharedLayers) throws {
    let last = config.blockChannels.count - 1
    let channels = config.blockChannels[last]
    func resnet(_ index: Int) throws -> ResnetBlock {
      try .timed(
        weights.scope("resnets.\(index)"), inputs: channels, outputs: channels, config, shared,
        outputScale: config.midBlockScale)
    }
    guard config.midBlock == .crossAttention else {
      resnets = [try resnet(0)]
      transformer = nil
      return
    }
    resnets = [try resnet(0), try resnet(1)]
    transformer = try SpatialTransformer(
      weights.scope("attentions.0"), channels: channels, heads: config.heads[last],
      layers: config.transformerLayers[last], config, shared)
  }

  func callAsFunction(
    _ x: Tensor, _ time: PreparedTimesteps, _ text: PreparedText, _ hooks: UNetHooks?
  ) -> Tensor {
    let x = resnets[0](x, time, hooks, onWayUp: false)
    guard let transformer else { return x }
    return resnets[1](transformer(x, text, hooks, onWayUp: false), time, hooks, onWayUp: false)
  }
}

/// One level on the way up: ResNet blocks that each take a skip connection, transformers where it has any, and an
/// upsampling convolution unless it is the finest.
struct UpBlock {
  let resnets: [ResnetBlock]
  let transformers: [SpatialTransformer]
  let upsampler: Conv2d?

  /// - Parameter index: 0 is the coarsest level.
  init(_ weights: Weights, index: Int, _ config: UNetConfig, _ shared: UNetSharedLayers) throws {
    let levels = config.blockChannels.count
    let level = levels - 1 - index
    let outputs = config.blockChannels[level]
    let below = config.blockChannels[min(level + 1, levels - 1)]
    // The last skip of a level comes from the downsampler of the level above (or from conv_in).
    let lastSkip = config.blockChannels[max(level - 1, 0)]
    let layers = config.layersPerBlock[level] + 1
    var resnets: [ResnetBlock] = []
    var transformers: [SpatialTransformer] = []
    for layer in 0..<layers {
      let inputs = (layer == 0 ? below : outputs) + (layer == layers - 1 ? lastSkip : outputs)
      resnets.append(
        try .timed(weights.scope("resnets.\(layer)"), inputs: inputs, outputs: outputs, config, shared))
      if config.upBlocks[index] == .crossAttention {
        transformers.append(
          try SpatialTransformer(
            weights.scope("attentions.\(layer)"), channels: outputs, heads: config.heads[level],
            layers: config.transformerLayers[level], config, shared))
      }
    }
    self.resnets = resnets
    self.transformers = transformers
    upsampler =
      level == 0 ? nil : try Conv2d(weights.scope("upsamplers.0.conv"), inputs: outputs, outputs: outputs)
  }

  func callAsFunction(
    _ x: Tensor, _ time: PreparedTimesteps, _ text: PreparedText, _ hooks: UNetHooks?, skips: inout [Tensor]
  ) -> Tensor {
    var x = x
    for (layer, resnet) in resnets.enumerated() {
      let skip = skips.removeLast().repeated(toBatch: x.shape[0])
      x = resnet(concatenate([x, skip], axis: 1), time, hooks, onWayUp: true)
      if !transformers.isEmpty { x = transformers[layer](x, text, hooks, onWayUp: true) }
    }
    if let upsampler { x = upsampler(upsampleNearest2x(x)) }
    return x
  }
}

extension ResnetBlock {
  /// A block with a time embedding, as the UNet has them.
  static func timed(
    _ weights: Weights, inputs: Int, outputs: Int, _ config: UNetConfig, _ shared: UNetSharedLayers,
    outputScale: Double = 1
  ) throws -> ResnetBlock {
    let projection = try Linear(weights.scope("time_emb_proj"), inputs: config.timeChannels, outputs: outputs)
    return try ResnetBlock(
      weights, inputs: inputs, outputs: outputs, groups: config.normGroups, epsilon: config.normEpsilon,
      activation: config.activation, outputScale: outputScale, timeIndex: shared.add(projection))
  }

  func callAsFunction(_ x: Tensor, _ time: PreparedTimesteps, _ hooks: UNetHooks?, onWayUp: Bool) -> Tensor {
    let time = timeIndex.map { time.projections[$0] }
    return x.checkpointed(with: conv1.weight, hooks: hooks, onWayUp: onWayUp) {
      self(x, time: time, hooks: hooks)
    }
  }
}
