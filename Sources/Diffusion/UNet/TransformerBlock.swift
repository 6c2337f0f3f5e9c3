internal import Tensors

/// Self-attention, cross-attention and a GEGLU feed-forward, each behind a layer norm and a residual connection.
struct TransformerBlock {
  let norm1, norm2, norm3: LayerNorm
  let selfAttention: Attention
  let crossAttention: Attention
  /// Where this block's text keys and values are in a ``PreparedText``.
  let textIndex: Int
  let gate: Linear
  let projection: Linear
  /// As diffusers names the block.
  let name: String

  init(_ weights: Weights, channels: Int, textChannels: Int, heads: Int, _ shared: UNetSharedLayers) throws {
    name = weights.scopeName
    norm1 = try LayerNorm(weights.scope("norm1"), size: channels)
    norm2 = try LayerNorm(weights.scope("norm2"), size: channels)
    norm3 = try LayerNorm(weights.scope("norm3"), size: channels)
    selfAttention = try Attention(
      weights.scope("attn1"), channels: channels, contextChannels: channels, heads: heads)
    crossAttention = try Attention(
      weights.scope("attn2"), channels: channels, contextChannels: textChannels, heads: heads)
    textIndex = shared.add(crossAttention)
    gate = try Linear(weights.scope("ff.net.0.proj"), inputs: channels, outputs: 8 * channels)
    projection = try Linear(weights.scope("ff.net.2"), inputs: 4 * channels, outputs: channels)
  }

  /// (batch, positions, channels) to (texts, positions, channels).
  func callAsFunction(_ x: Tensor, _ text: PreparedText, _ hooks: UNetHooks?, onWayUp: Bool) -> Tensor {
    func part(_ x: Tensor, _ body: @escaping () -> Tensor) -> Tensor {
      x.checkpointed(with: gate.weight, hooks: hooks, onWayUp: onWayUp, body)
    }
    let attended = part(x) {
      let normalized = norm1(x)
      return selfAttention(normalized, to: selfAttention.project(normalized)) + x
    }.repeated(toBatch: text.count)
    let informed = part(attended) {
      let probabilities = hooks?.crossAttentionProbabilities.map { hook in { hook("\(name).attn2", $0) } }
      return crossAttention(norm2(attended), to: text.projections[textIndex], probabilities: probabilities) + attended
    }
    return part(informed) {
      var activation = gate(norm3(informed)).geglu()
      if let hook = hooks?.feedForwardActivation { activation = hook("\(name).ff.net.2", activation) }
      return projection(activation) + informed
    }
  }
}

/// Transformer blocks over the positions of a feature map (`Transformer2DModel`).
struct SpatialTransformer {
  /// As diffusers names the transformer.
  let name: String
  let norm: GroupNorm
  let input, output: Linear
  let blocks: [TransformerBlock]

  init(
    _ weights: Weights, channels: Int, heads: Int, layers: Int, _ config: UNetConfig, _ shared: UNetSharedLayers
  ) throws {
    name = weights.scopeName
    // Fixed in diffusers, whatever `norm_eps` says.
    norm = try GroupNorm(weights.scope("norm"), channels: channels, groups: config.normGroups, epsilon: 1e-6)
    func projection(_ name: String) throws -> Linear {
      config.useLinearProjection
        ? try Linear(weights.scope(name), inputs: channels, outputs: channels)
        : try Linear(convolution: weights.scope(name), inputs: channels, outputs: channels)
    }
    input = try projection("proj_in")
    output = try projection("proj_out")
    blocks = try (0..<layers).map { layer in
      try TransformerBlock(
        weights.scope("transformer_blocks.\(layer)"), channels: channels, textChannels: config.crossAttentionSize,
        heads: heads, shared)
    }
  }

  /// (batch, channels, height, width) to (texts, channels, height, width).
  func callAsFunction(_ x: Tensor, _ text: PreparedText, _ hooks: UNetHooks?, onWayUp: Bool) -> Tensor {
    let (channels, height, width) = (x.shape[1], x.shape[2], x.shape[3])
    let map = [x.shape[0], channels, height * width]
    var sequence = x.checkpointed(with: blocks[0].gate.weight, hooks: hooks, onWayUp: onWayUp) {
      input(norm(x).reshaped(map).transposedLast())
    }
    for block in blocks { sequence = block(sequence, text, hooks, onWayUp: onWayUp) }
    let change = output(sequence).transposedLast().reshaped([text.count, channels, height, width])
    let result = change + x.repeated(toBatch: text.count)
    return hooks?.transformerOutput.map { $0(name, result) } ?? result
  }
}
