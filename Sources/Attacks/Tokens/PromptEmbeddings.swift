public import Diffusion
public import Tensors

/// A prompt's token embeddings among which those of an attack's tokens are put, differentiably.
public struct PromptEmbeddings {
  /// Of the prompt's own tokens, (positions, width).
  private let own: Tensor
  /// For each position its row among those of `own` and, behind them, the attack's.
  private let rows: [Int]

  public init(_ prompt: PromptTokens, _ encoder: CLIPTextModel) {
    own = embedding(encoder.tokenEmbedding, prompt.ids)
    var rows = Array(prompt.ids.indices)
    for (index, position) in prompt.positions.enumerated() { rows[position] = prompt.ids.count + index }
    self.rows = rows
  }

  /// With the attack's embeddings, (attack's positions, width), in their places: (1, positions, width).
  public func filled(with embeddings: Tensor) -> Tensor {
    embedding(concatenate([own, embeddings], axis: 0), rows, shape: [1, rows.count])
  }
}
