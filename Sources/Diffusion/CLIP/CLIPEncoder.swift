internal import Tensors

/// The transformer of a CLIP tower, its layers normalised before attention and before the perceptron.
struct CLIPEncoder {
  private let layers: [CLIPEncoderLayer]

  /// - Parameter isCausal: whether each position sees only those before it, as in the text tower.
  init(_ weights: Weights, _ config: CLIPTowerConfig, isCausal: Bool) throws {
    layers = try (0..<config.layers).map { layer in
      try CLIPEncoderLayer(weights.scope("layers.\(layer)"), config, isCausal: isCausal)
    }
  }

  /// (batch, positions, hidden size) to the same shape.
  func callAsFunction(_ x: Tensor) -> Tensor {
    layers.reduce(x) { x, layer in layer(x) }
  }
}

struct CLIPEncoderLayer {
  private let norm1, norm2: LayerNorm
  private let query, key, value, output: Linear
  private let expand, contract: Linear
  private let activation: Activation
  private let heads: Int
  private let isCausal: Bool

  init(_ weights: Weights, _ config: CLIPTowerConfig, isCausal: Bool) throws {
    let width = config.hiddenSize
    // The deviations with which transformers starts a CLIP tower: they shrink with width and depth.
    let wide = 1 / Double(width).squareRoot()
    let deep = wide / Double(2 * config.layers).squareRoot()
    norm1 = try LayerNorm(weights.scope("layer_norm1"), size: width, epsilon: config.normEpsilon)
    norm2 = try LayerNorm(weights.scope("layer_norm2"), size: width, epsilon: config.normEpsilon)
    let attention = weights.scope("self_attn")
    query = try Linear(attention.scope("q_proj"), inputs: width, outputs: width, deviation: deep)
    key = try Linear(attention.scope("k_proj"), inputs: width, outputs: width, deviation: deep)
    value = try Linear(attention.scope("v_proj"), inputs: width, outputs: width, deviation: deep)
    output = try Linear(attention.scope("out_proj"), inputs: width, outputs: width, deviation: wide)
    expand = try Linear(
      weights.scope("mlp.fc1"), inputs: width, outputs: config.intermediateSize,
      deviation: 1 / Double(2 * width).squareRoot())
    contract = try Linear(
      weights.scope("mlp.fc2"), inputs: config.intermediateSize, outputs: width, deviation: deep)
    activation = config.activation
    heads = config.heads
    self.isCausal = isCausal
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let normalized = norm1(x)
    let attended = attention(
      query: query(normalized), key: key(normalized), value: value(normalized), heads: heads, causal: isCausal)
    let x = output(attended) + x
    return contract(activation(expand(norm2(x)))) + x
  }
}
