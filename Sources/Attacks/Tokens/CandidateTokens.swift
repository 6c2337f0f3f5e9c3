public import Diffusion
public import Tensors

/// The tokens that a search may choose from, with their embeddings.
public struct CandidateTokens {
  /// Token ids, in ascending order.
  public let ids: [Int]
  /// (candidates, width)
  public let embeddings: Tensor

  /// - Parameters:
  ///   - ids: rows of the text encoder's table
  public init(_ ids: [Int], _ encoder: CLIPTextModel) {
    self.ids = ids
    embeddings = embedding(encoder.tokenEmbedding, ids)
  }

  /// All tokens but the special ones: no text holds those, so that a prompt found with one could not be written down.
  public init(_ model: DiffusionModel) { self.init(model.tokenizer.ordinaryTokens, model.textEncoder) }

  /// The embeddings of some candidates, (indices.count, width).
  public func embeddings(at indices: [Int]) -> Tensor { embedding(embeddings, indices) }

  /// The gradient with respect to one-hot vectors over the candidates, (positions, candidates), from that with respect
  /// to the embeddings that they choose, (positions, width): dL/d(one-hot) = dL/dE · tableᵀ.
  public func oneHotGradient(_ gradient: Tensor) -> Tensor { linear(gradient, weight: embeddings) }
}

/// The projection of P4D (arXiv 2309.06135): the candidate whose embedding points most in a vector's
/// direction.
public struct NearestTokens {
  public let candidates: CandidateTokens
  /// One over the length of each embedding, (1, candidates); 0 for an embedding without a direction.
  private let scales: Tensor

  public init(_ candidates: CandidateTokens) {
    self.candidates = candidates
    let lengths = candidates.embeddings.square().sum(axis: 1).squareRoot()
    scales = lengths.mapped { $0 > 0 ? 1 / $0 : 0 }.reshaped([1, candidates.ids.count])
  }

  /// For each of the vectors, (positions, width), the index of the candidate of the largest cosine; the lowest where
  /// several are equal.
  public func callAsFunction(_ vectors: Tensor) -> [Int] {
    // The length of the vector itself is the same for all candidates and decides nothing.
    (linear(vectors, weight: candidates.embeddings) * scales).argmaxLastAxis()
  }
}
