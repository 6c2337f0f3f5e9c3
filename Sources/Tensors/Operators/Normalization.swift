internal import CKernels

/// Group normalisation (Wu and He, 2018): zero mean and unit variance over each group of channels of each item, then
/// a scale and an offset for each channel.
///
/// - Parameters:
///   - x: (batch, channels, ...)
///   - groups: a divisor of the number of channels
///   - weight, bias: (channels)
///   - activated: whether SiLU of it is wanted, in the same pass over memory; on the way back the normalised values are
///     computed again rather than kept
public func groupNorm(
  _ x: Tensor, groups: Int, weight: Tensor, bias: Tensor, epsilon: Float = 1e-5, activated: Bool = false
) -> Tensor {
  let (batch, channels) = (x.shape[0], x.shape[1])
  precondition(channels % groups == 0, "\(groups) groups of \(channels) channels")
  let plane = x.shape[2...].reduce(1, *)
  let itemCount = channels * plane
  let result = Tensor(unset: x.shape)
  let means = Storage(count: batch * groups), inverses = Storage(count: batch * groups)
  parallelItems(batch, of: itemCount) { item in
    lethe_group_norm(
      activated ? 1 : 0, x.pointer + item * itemCount, weight.pointer, bias.pointer, result.pointer + item * itemCount,
      channels, groups, plane, epsilon, means.pointer + item * groups, inverses.pointer + item * groups)
  }
  return result.recorded(from: x, weight, bias) { [x = x.detached, weight = weight.detached, bias = bias.detached]
    gradient in
    let back = Tensor(unset: x.shape)
    let perItem = Tensor.zeros([2, batch, channels])
    parallelItems(batch, of: itemCount) { item in
      let (x, gradient) = (x.pointer + item * itemCount, gradient.pointer + item * itemCount)
      let (means, inverses) = (means.pointer + item * groups, inverses.pointer + item * groups)
      let (weights, biases) = (perItem.pointer + item * channels, perItem.pointer + (batch + item) * channels)
      let back = back.pointer + item * itemCount
      if activated {
        lethe_activated_group_norm_backward(
          x, weight.pointer, bias.pointer, gradient, means, inverses, back, weights, biases, channels, groups, plane)
      } else {
        lethe_group_norm_backward(
          x, weight.pointer, gradient, means, inverses, back, weights, biases, channels, groups, plane)
      }
    }
    return [back, perItem.slice(axis: 0, 0..<1).sum(axis: 1).reshaped([channels]),
      perItem.slice(axis: 0, 1..<2).sum(axis: 1).reshaped([channels])]
  }
}

/// Layer normalisation over the last axis (Ba et al., 2016).
///
/// - Parameter weight, bias: one value for each entry of the last axis
public func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float = 1e-5) -> Tensor {
  let columns = x.extent(-1)
  precondition(weight.count == columns, "layer norm of \(weight.count) values on a tensor of shape \(x.shape)")
  let rows = x.count / max(columns, 1)
  let result = Tensor(unset: x.shape)
  let means = Storage(count: rows), inverses = Storage(count: rows)
  parallelPieces(rows, size: max(1, elementwisePiece / columns)) { piece in
    let first = piece.lowerBound
    lethe_layer_norm(
      x.pointer + first * columns, weight.pointer, bias.pointer, result.pointer + first * columns, piece.count, columns,
      epsilon, means.pointer + first, inverses.pointer + first)
  }
  return result.recorded(from: x, weight, bias) { [x = x.detached, weight = weight.detached] gradient in
    let back = Tensor(unset: x.shape)
    let (weightGradient, biasGradient) = (Tensor.zeros([columns]), Tensor.zeros([columns]))
    lethe_layer_norm_backward(
      x.pointer, weight.pointer, gradient.pointer, means.pointer, inverses.pointer, back.pointer,
      weightGradient.pointer, biasGradient.pointer, rows, columns)
    return [back, weightGradient, biasGradient]
  }
}

/// Runs `body` for each item of a batch, in parallel where the batch is large enough to repay it.
private func parallelItems(_ batch: Int, of itemCount: Int, _ body: (Int) -> Void) {
  parallelPieces(batch, size: max(1, elementwisePiece / max(itemCount, 1))) { piece in piece.forEach(body) }
}
