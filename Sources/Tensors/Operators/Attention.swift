internal import CKernels

extension Tensor {
  /// e^x / sum(e^x) along the last axis.
  public func softmax() -> Tensor {
    let columns = extent(-1), rows = count / max(extent(-1), 1)
    let result = Tensor(unset: shape)
    lethe_softmax(pointer, result.pointer, rows, columns, 1, 0, 0)
    return result.recorded(from: self) { gradient in
      let back = Tensor(unset: result.shape)
      lethe_softmax_backward(result.pointer, gradient.pointer, back.pointer, rows, columns, 1)
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
  let shape = AttentionShape(
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
  guard isTracked else {
    shape.forward(query, key, value, result, probabilities: nil)
    return result
  }
  let probabilities = Tensor(unset: [shape.batch * heads, shape.targets, shape.sources])
  shape.forward(query, key, value, result, probabilities: probabilities)
  return result.recorded(from: query, key, value) {
    [query = query.detached, key = key.detached, value = value.detached] gradient in
    shape.backward(gradient, query, key, value, probabilities)
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

private struct AttentionShape {
  let batch: Int
  let targets: Int
  let sources: Int
  let width: Int
  let heads: Int
  let causal: Bool

  /// Targets whose scores are held at a time where the probabilities are not kept: a fixed cut of each head.
  private static let rows = 512

  var headWidth: Int { width / heads }
  var scale: Float { 1 / Float(headWidth).squareRoot() }

  func forward(_ query: Tensor, _ key: Tensor, _ value: Tensor, _ result: Tensor, probabilities: Tensor?) {
    parallelFor(batch * heads) { index in
      let (item, head) = (index / heads, index % heads)
      let q = query.pointer + item * targets * width + head * headWidth
      let k = key.pointer + item * sources * width + head * headWidth
      let v = value.pointer + item * sources * width + head * headWidth
      let out = result.pointer + item * targets * width + head * headWidth
      let scores = Storage(count: min(targets, AttentionShape.rows) * sources)
      for first in stride(from: 0, to: targets, by: AttentionShape.rows) {
        let rows = min(AttentionShape.rows, targets - first)
        BLAS.gemm(
          rows, sources, headWidth, q + first * width, width, k, width, transposedB: true, scores.pointer, sources)
        let p = probabilities.map { $0.pointer + (index * targets + first) * sources } ?? scores.pointer
        lethe_softmax(scores.pointer, p, rows, sources, scale, causal ? 1 : 0, first)
        BLAS.gemm(rows, headWidth, sources, p, sources, v, width, out + first * width, width)
      }
    }
  }

  func backward(
    _ gradient: Tensor, _ query: Tensor, _ key: Tensor, _ value: Tensor, _ probabilities: Tensor
  ) -> [Tensor?] {
    let queryGradient = Tensor(unset: query.shape)
    let (keyGradient, valueGradient) = (Tensor(unset: key.shape), Tensor(unset: value.shape))
    parallelFor(batch * heads) { index in
      let (item, head) = (index / heads, index % heads)
      let (atTarget, atSource) = (item * targets * width + head * headWidth, item * sources * width + head * headWidth)
      let p = probabilities.pointer + index * targets * sources
      let out = gradient.pointer + atTarget
      let scores = Storage(count: targets * sources)
      BLAS.gemm(
        sources, headWidth, targets, p, sources, transposedA: true, out, width, valueGradient.pointer + atSource, width)
      BLAS.gemm(
        targets, sources, headWidth, out, width, value.pointer + atSource, width, transposedB: true, scores.pointer,
        sources)
      lethe_softmax_backward(p, scores.pointer, scores.pointer, targets, sources, scale)
      BLAS.gemm(
        targets, headWidth, sources, scores.pointer, sources, key.pointer + atSource, width,
        queryGradient.pointer + atTarget, width)
      BLAS.gemm(
        sources, headWidth, targets, scores.pointer, sources, transposedA: true, query.pointer + atTarget, width,
        keyGradient.pointer + atSource, width)
    }
    return [queryGradient, keyGradient, valueGradient]
  }
}
