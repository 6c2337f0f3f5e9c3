public import Tensors

/// The noise predictor of a latent diffusion model (Rombach et al., 2022): ε = unet(latents, timesteps, text).
///
/// Everything it computes is differentiable with respect to whatever is tracked: weights, latents or text states.
public struct UNet2DConditionModel {
  public let config: UNetConfig
  private let embedding: SinusoidalEmbedding
  private let timeLayers: [Linear]
  private let convIn: Conv2d
  private let downBlocks: [DownBlock]
  private let midBlock: MidBlock
  private let upBlocks: [UpBlock]
  private let normOut: GroupNorm
  private let convOut: Conv2d
  private let crossAttentions: [Attention]
  private let timeProjections: [Linear]

  /// - Throws: ``ModelFolderError`` or the error of ``Weights`` for a weight that is missing or has another shape.
  public init(_ config: UNetConfig, _ weights: Weights) throws {
    let shared = UNetSharedLayers()
    let first = config.blockChannels[0]
    self.config = config
    embedding = SinusoidalEmbedding(
      size: first, cosinesFirst: config.flipSinToCos, frequencyShift: config.frequencyShift)
    timeLayers = [
      try Linear(weights.scope("time_embedding.linear_1"), inputs: first, outputs: config.timeChannels),
      try Linear(weights.scope("time_embedding.linear_2"), inputs: config.timeChannels, outputs: config.timeChannels),
    ]
    convIn = try Conv2d(
      weights.scope("conv_in"), inputs: config.inChannels, outputs: first, kernel: config.convInKernel,
      padding: config.convInKernel / 2)
    downBlocks = try config.blockChannels.indices.map { level in
      try DownBlock(weights.scope("down_blocks.\(level)"), level: level, config, shared)
    }
    midBlock = try MidBlock(weights.scope("mid_block"), config, shared)
    upBlocks = try config.blockChannels.indices.map { index in
      try UpBlock(weights.scope("up_blocks.\(index)"), index: index, config, shared)
    }
    normOut = try GroupNorm(
      weights.scope("conv_norm_out"), channels: first, groups: config.normGroups, epsilon: config.normEpsilon)
    convOut = try Conv2d(
      weights.scope("conv_out"), inputs: first, outputs: config.outChannels, kernel: config.convOutKernel,
      padding: config.convOutKernel / 2)
    crossAttentions = shared.crossAttentions
    timeProjections = shared.timeProjections
  }

  /// The noise in `latents`.
  ///
  /// - Parameters:
  ///   - latents: (batch, in channels, height, width); height and width divisible by ``resolution``
  ///   - timesteps: one for each item of the batch, 0 to 999 as a rule
  ///   - encoderHiddenStates: the text encoder's output, (batch, positions, cross attention size)
  ///   - hooks: what looks at activations on the way, or changes them
  /// - Returns: (batch, out channels, height, width)
  public func callAsFunction(
    _ latents: Tensor, timesteps: [Int], encoderHiddenStates: Tensor, hooks: UNetHooks? = nil
  ) -> Tensor {
    self(latents, time: prepare(timesteps: timesteps), text: prepare(text: encoderHiddenStates), hooks: hooks)
  }

  /// The same from a time embedding and text projections computed before; the bytes are the same too.
  ///
  /// There may be a multiple of the batch's items in `text`: the result has an item for each text, the whole batch
  /// under the first texts, then the whole batch under the next ones.
  public func callAsFunction(
    _ latents: Tensor, time: PreparedTimesteps, text: PreparedText, hooks: UNetHooks? = nil
  ) -> Tensor {
    precondition(
      latents.rank == 4 && latents.shape[1] == config.inChannels
        && latents.shape[2] % resolution == 0 && latents.shape[3] % resolution == 0,
      "latents of shape \(latents.shape) for a UNet of \(config.inChannels) channels and \(downBlocks.count) levels")
    precondition(
      text.count % latents.shape[0] == 0, "\(text.count) texts for latents of shape \(latents.shape)")
    var x = convIn(config.centersInput ? latents * 2 - 1 : latents)
    var skips = [x]
    for block in downBlocks { x = block(x, time, text, hooks, skips: &skips) }
    x = midBlock(x, time, text, hooks)
    for block in upBlocks { x = block(x, time, text, hooks, skips: &skips) }
    return convOut(normOut(x, config.activation)).repeated(toBatch: text.count)
  }

  /// Height and width of a latent must be multiples of this: each level but the last halves them.
  public var resolution: Int { 1 << (downBlocks.count - 1) }

  /// Keys and values of text states (batch, positions, cross attention size) for all cross-attention layers.
  public func prepare(text states: Tensor) -> PreparedText {
    PreparedText(projections: crossAttentions.map { $0.project(states) }, count: states.shape[0])
  }

  /// The time embedding for all ResNet blocks.
  ///
  /// Timesteps that are all the same are embedded once, and the result serves a batch of any size: an image comes out
  /// the same whatever batch it is drawn in.
  public func prepare(timesteps: [Int]) -> PreparedTimesteps { prepare(timesteps: timesteps.map(Float.init)) }

  /// The time embedding of times between training timesteps too.
  public func prepare(timesteps: [Float]) -> PreparedTimesteps {
    guard let first = timesteps.first else { preconditionFailure("no timestep") }
    let distinct = timesteps.allSatisfy { $0 == first } ? [first] : timesteps
    let hidden = timeLayers[1](config.activation(timeLayers[0](embedding(distinct))))
    // Every ResNet block begins with the same activation of it.
    let activated = config.activation(hidden)
    return PreparedTimesteps(
      projections: timeProjections.map { projection in
        let projected = projection(activated)
        return projected.reshaped([projected.shape[0], projected.shape[1], 1, 1])
      })
  }
}
