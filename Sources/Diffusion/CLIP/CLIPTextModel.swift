public import Tensors

/// The text tower of CLIP. Stable Diffusion is conditioned on its hidden states after the final layer norm.
///
/// Differentiable with respect to its weights and, through ``callAsFunction(embeddings:)``, to token embeddings.
public struct CLIPTextModel {
  public let config: CLIPTextConfig
  /// The embeddings of all tokens, (vocabulary size, hidden size).
  public let tokenEmbedding: Tensor
  /// The full name of that weight among the text encoder's.
  public let tokenEmbeddingName: String
  private let positionEmbedding: Tensor
  private let encoder: CLIPEncoder
  private let finalNorm: LayerNorm

  /// - Parameter weights: the weights of a text encoder, with or without the prefix `text_model.`
  public init(_ config: CLIPTextConfig, _ weights: Weights) throws {
    let isBare = ["embeddings", "encoder", "final_layer_norm"].contains(where: weights.containsScope)
    let weights = isBare ? weights : weights.scope("text_model")
    let width = config.tower.hiddenSize
    self.config = config
    let name = "embeddings.token_embedding.weight"
    tokenEmbedding = try weights.tensor(name, [config.vocabularySize, width], .normal(0.02))
    tokenEmbeddingName = weights.fullName(name)
    positionEmbedding = try weights.tensor(
      "embeddings.position_embedding.weight", [config.maxPositions, width], .normal(0.02))
    encoder = try CLIPEncoder(weights.scope("encoder"), config.tower, isCausal: true)
    finalNorm = try LayerNorm(weights.scope("final_layer_norm"), size: width, epsilon: config.tower.normEpsilon)
  }

  /// Prompts as token ids, all of one length, to hidden states (prompts, positions, hidden size).
  public func callAsFunction(_ ids: [[Int]]) -> Tensor {
    self(embeddings: embed(ids))
  }

  /// The embeddings of tokens without positions, (prompts, positions, hidden size).
  public func embed(_ ids: [[Int]]) -> Tensor {
    guard let length = ids.first?.count else { preconditionFailure("no prompts") }
    precondition(ids.allSatisfy { $0.count == length }, "prompts of different lengths in one batch")
    return embedding(tokenEmbedding, ids.flatMap { $0 }, shape: [ids.count, length])
  }

  /// Hidden states from token embeddings (prompts, positions, hidden size).
  public func callAsFunction(embeddings: Tensor) -> Tensor {
    let length = embeddings.shape[1]
    precondition(length <= config.maxPositions, "\(length) positions for a text encoder of \(config.maxPositions)")
    let positions = length == config.maxPositions ? positionEmbedding : positionEmbedding.slice(axis: 0, 0..<length)
    return finalNorm(encoder(embeddings + positions))
  }

  /// The hidden state at each prompt's end token: (prompts, hidden size).
  public func pooled(_ states: Tensor, _ ids: [[Int]]) -> Tensor {
    let length = states.shape[1]
    let rows = ids.enumerated().map { prompt, ids in prompt * length + endPosition(ids) }
    return embedding(states.reshaped([states.shape[0] * length, states.shape[2]]), rows)
  }

  /// Configurations older than transformers 4.31 say 2 whatever the tokenizer has, and mean the highest id.
  private func endPosition(_ ids: [Int]) -> Int {
    let end = config.endToken == 2 ? ids.max() ?? 0 : config.endToken
    return ids.firstIndex(of: end) ?? 0
  }
}
