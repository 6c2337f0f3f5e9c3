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
  let groupChannels = channels / groups
  let groupCount = groupChannels * plane
  let result = Tensor(unset: x.shape)
  let means = Storage(count: batch * groups), inverses = Storage(count: batch * groups)
  parallelPieces(batch * groups, of: groupCount) { piece in
    for group in piece {
      let channel = group % groups * groupChannels
      lethe_group_norm(
        activated ? 1 : 0, x.pointer + group * groupCount, weight.pointer + channel, bias.pointer + channel,
        result.pointer + group * groupCount, groupChannels, plane, epsilon, means.pointer + group,
        inverses.pointer + group)
    }
  }
  return result.recorded(from: x, weight, bias) { [x = x.detached, weight = weight.detached, bias = bias.detached]
    gradient in
    let back = Tensor(unset: x.shape)
    let perItem = Tensor.zeros([2, batch, channels])
    parallelPieces(batch * groups, of: groupCount) { piece in
      for group in piece {
        let channel = group % groups * groupChannels
        lethe_group_norm_backward(
          activated ? 1 : 0, x.pointer + group * groupCount, weight.pointer + channel, bias.pointer + channel,
          gradient.pointer + group * groupCount, means.pointer[group], inverses.pointer[group],
          back.pointer + group * groupCount, perItem.pointer + group * groupChannels,
          perItem.pointer + batch * channels + group * groupChannels, groupChannels, plane)
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
  parallelPieces(rows, of: columns) { piece in
    let first = piece.lowerBound
    lethe_layer_norm(
      x.pointer + first * columns, weight.pointer, bias.pointer, result.pointer + first * columns, piece.count, columns,
      epsilon, means.pointer + first, inverses.pointer + first)
  }
  return result.recorded(from: x, weight, bias) { [x = x.detached, weight = weight.detached] gradient in
    let back = Tensor(unset: x.shape)
    let (weightGradient, biasGradient) = (Tensor.zeros([columns]), Tensor.zeros([columns]))
    parallelPieces(rows, of: columns) { piece in
      let first = piece.lowerBound
      lethe_layer_norm_backward(
        x.pointer + first * columns, weight.pointer, gradient.pointer + first * columns, means.pointer + first,
        inverses.pointer + first, back.pointer + first * columns, piece.count, columns)
    }
    // Each column's sums go through the rows in order, whichever thread takes it.
    parallelColumns(columns, ofRows: rows) { strip in
      let first = strip.lowerBound
      lethe_layer_norm_weight_gradients(
        x.pointer + first, gradient.pointer + first, columns, means.pointer, inverses.pointer,
        weightGradient.pointer + first, biasGradient.pointer + first, rows, strip.count)
    }
    return [back, weightGradient, biasGradient]
  }
}
