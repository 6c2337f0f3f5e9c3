internal import CKernels

extension Tensor {
  /// e^x / sum(e^x) along the last axis.
  public func softmax() -> Tensor {
    let columns = extent(-1), rows = count / max(extent(-1), 1)
    let result = Tensor(unset: shape)
    parallelPieces(rows, of: columns) { piece in
      let first = piece.lowerBound * columns
      lethe_softmax(pointer + first, result.pointer + first, piece.count, columns, 1, 0, 0)
    }
    return result.recorded(from: self) { gradient in
      let back = Tensor(unset: result.shape)
      parallelPieces(rows, of: columns) { piece in
        let first = piece.lowerBound * columns
        lethe_softmax_backward(
          result.pointer + first, gradient.pointer + first, back.pointer + first, piece.count, columns, 1)
      }
      return [back]
    }
  }

  /// x - log(sum(e^x)) along the last axis.
  public func logSoftmax() -> Tensor {
    let columns = extent(-1), rows = count / max(extent(-1), 1)
    let result = Tensor(unset: shape)
    lethe_log_softmax(pointer, result.pointer, rows, columns)
    return result.recorded(from: self) { gradient in
      let back = Tensor(unset: result.shape)
      lethe_log_softmax_backward(result.pointer, gradient.pointer, back.pointer, rows, columns)
      return [back]
    }
  }
}

/// Scaled dot-product attention (Vaswani et al., 2017): softmax(q k^T / sqrt(d)) v for each head.
///
/// - Parameters:
///   - query: (batch, targets, width)
///   - key, value: (batch, sources, width)
///   - heads: a divisor of the width; head h has the columns h * d ..< (h + 1) * d, d = width / heads
///   - causal: whether target t sees only the sources 0 ... t
///   - probabilities: changes the probabilities, (batch * heads, targets, sources), before they weigh the values, or
///     only looks at them; gradients flow through it. Not with `causal`.
/// - Returns: (batch, targets, width)
public func attention(
  query: Tensor, key: Tensor, value: Tensor, heads: Int, causal: Bool = false,
  probabilities: ((Tensor) -> Tensor)? = nil
) -> Tensor {
  precondition(
    query.rank == 3 && key.rank == 3 && key.shape == value.shape && key.shape[0] == query.shape[0]
      && key.shape[2] == query.shape[2] && query.shape[2] % heads == 0,
    "attention of \(heads) heads with shapes \(query.shape), \(key.shape) and \(value.shape)")
  let shape = AttentionProduct(
    batch: query.shape[0], targets: query.shape[1], sources: key.shape[1], width: query.shape[2], heads: heads,
    causal: causal)
  if let probabilities {
    precondition(!causal, "causal attention whose probabilities are changed")
    let scores = query.splitIntoHeads(heads).matmul(key.splitIntoHeads(heads).transposedLast()) * shape.scale
    let changed = probabilities(scores.softmax())
    return changed.matmul(value.splitIntoHeads(heads)).joinedFromHeads(heads)
  }
  let result = Tensor(unset: query.shape)
  let isTracked = query.isTracked || key.isTracked || value.isTracked
  let logarithms = isTracked ? Storage(count: shape.batch * heads * shape.targets) : nil
  shape.forward(query, key, value, result, logarithms: logarithms)
  guard let logarithms else { return result }
  return result.recorded(from: query, key, value) {
    [query = query.detached, key = key.detached, value = value.detached] gradient in
    shape.backward(gradient, query, key, value, result, logarithms)
  }
}

extension Tensor {
  /// (batch, positions, width) to (batch * heads, positions, width / heads)
  fileprivate func splitIntoHeads(_ heads: Int) -> Tensor {
    reshaped([shape[0], shape[1], heads, shape[2] / heads]).permuted([0, 2, 1, 3])
      .reshaped([shape[0] * heads, shape[1], shape[2] / heads])
  }

  /// (batch * heads, positions, width / heads) to (batch, positions, width)
  fileprivate func joinedFromHeads(_ heads: Int) -> Tensor {
    let batch = shape[0] / heads
    return reshaped([batch, heads, shape[1], shape[2]]).permuted([0, 2, 1, 3])
      .reshaped([batch, shape[1], heads * shape[2]])
  }
}
