internal import Tensors

/// Multi-head attention of a transformer block: `to_q`, `to_k`, `to_v` without bias, `to_out.0` with.
struct Attention {
  /// What a context contributes, the same at every step of a sampling run.
  struct KeyValue {
    let key: Tensor
    let value: Tensor
  }

  let query: Linear
  let key: Linear
  let value: Linear
  let output: Linear
  let heads: Int

  init(_ weights: Weights, channels: Int, contextChannels: Int, heads: Int) throws {
    query = try Linear(weights.scope("to_q"), inputs: channels, outputs: channels, bias: false)
    key = try Linear(weights.scope("to_k"), inputs: contextChannels, outputs: channels, bias: false)
    value = try Linear(weights.scope("to_v"), inputs: contextChannels, outputs: channels, bias: false)
    output = try Linear(weights.scope("to_out.0"), inputs: channels, outputs: channels)
    self.heads = heads
  }

  /// Keys and values of a context (batch, positions, context channels).
  func project(_ context: Tensor) -> KeyValue {
    KeyValue(key: key(context), value: value(context))
  }

  /// (batch, positions, channels) attending to a projected context of the same batch.
  ///
  /// - Parameter probabilities: changes the attention probabilities, (batch * heads, positions, context positions)
  func callAsFunction(_ x: Tensor, to context: KeyValue, probabilities: ((Tensor) -> Tensor)? = nil) -> Tensor {
    output(
      attention(
        query: query(x), key: context.key, value: context.value, heads: heads, causal: false,
        probabilities: probabilities))
  }
}
