public import Diffusion
public import Tensors

/// The token embeddings of a concept's words as something to train: the rows of its tokens in the text encoder's table,
/// and no others (concept ablation, Kumari et al., ICCV 2023, arXiv 2303.13516, parameter group `embedding`).
public struct ConceptEmbedding {
  /// The ids of the concept's tokens, ascending, each once.
  public let tokens: [Int]
  private let encoder: CLIPTextModel

  /// - Throws: ``ErasureError`` for a concept without a token.
  public init(_ concept: String, _ model: DiffusionModel) throws {
    tokens = Set(model.tokenizer.tokens(concept)).sorted()
    encoder = model.textEncoder
    guard !tokens.isEmpty else { throw ErasureError("the concept \"\(concept)\" has no token to train") }
  }

  /// The rows before training, (tokens, width).
  public var start: Tensor { embedding(encoder.tokenEmbedding, tokens) }

  /// Whether a prompt has any of the tokens. The states of one that has none do not depend on the rows.
  public func isNamed(in ids: [Int]) -> Bool { ids.contains(where: tokens.contains) }

  /// The states of a prompt, (1, positions, width), on the tape of the rows.
  ///
  /// - Parameters:
  ///   - ids: of all positions
  ///   - rows: in place of ``start``
  public func states(_ ids: [Int], rows: Tensor) -> Tensor {
    let prompt = encoder.embed([ids])
    let table = concatenate([prompt.reshaped([ids.count, prompt.shape[2]]), rows], axis: 0)
    let places = ids.enumerated().map { position, id in tokens.firstIndex(of: id).map { ids.count + $0 } ?? position }
    return encoder(embeddings: embedding(table, places, shape: [1, ids.count]))
  }

  /// The text encoder's table with other rows in place of ``start``, by the name of the weight.
  public func replacement(rows: Tensor) -> [String: Tensor] {
    let (old, width) = (encoder.tokenEmbedding, rows.shape[1])
    let table = Tensor.make(old.shape) { out in
      old.withUnsafeValues { _ = out.update(from: $0) }
      rows.withUnsafeValues { rows in
        for (row, token) in tokens.enumerated() {
          for column in 0..<width { out[token * width + column] = rows[row * width + column] }
        }
      }
    }
    return [encoder.tokenEmbeddingName: table]
  }
}
