internal import CKernels

extension Tensor {
  /// The matrix product over the last two axes: (..., m, k) x (..., k, n), with equal leading axes.
  public func matmul(_ other: Tensor) -> Tensor {
    precondition(
      rank >= 2 && other.rank == rank && shape.dropLast(2) == other.shape.dropLast(2) && extent(-1) == other.extent(-2),
      "the product of shapes \(shape) and \(other.shape)")
    let (m, k, n) = (extent(-2), extent(-1), other.extent(-1))
    let batch = shape.dropLast(2).reduce(1, *)
    let result = Tensor(unset: shape.dropLast(2) + [m, n])
    parallelFor(batch) { i in
      MatrixProduct(m, n, k)(
        .rows(pointer + i * m * k, k), .rows(other.pointer + i * k * n, n), result.pointer + i * m * n, n)
    }
    return result.recorded(from: self, other) {
      [a = detached, b = other.detached, needs = (isTracked, other.isTracked)] gradient in
      [
        needs.0 ? gradient.matmul(b.transposedLast()) : nil,
        needs.1 ? a.transposedLast().matmul(gradient) : nil,
      ]
    }
  }
}

/// x W^T + b: the fully connected layer.
///
/// - Parameters:
///   - x: (..., inputs)
///   - weight: (outputs, inputs); may be in half precision
///   - bias: (outputs)
/// - Returns: (..., outputs)
public func linear(_ x: Tensor, weight: Tensor, bias: Tensor? = nil) -> Tensor {
  let (outputs, inputs) = (weight.shape[0], weight.shape[1])
  precondition(x.extent(-1) == inputs, "a linear layer of shape \(weight.shape) on a tensor of shape \(x.shape)")
  let rows = x.shape.dropLast().reduce(1, *)
  let result = Tensor(unset: x.shape.dropLast() + [outputs])
  let product = MatrixProduct(rows, outputs, inputs)
  let whole = weight.widened
  // To pack a weight for many rows takes no time to speak of.
  if rows <= 512, weight.count <= Storage.largestKept {
    let packed = whole.storage.kept(.packedTranspose) {
      let packed = Storage(count: MatrixProduct.packedCount(inputs, outputs))
      MatrixProduct.pack(.columns(whole.pointer, inputs), inputs, outputs, packed.pointer)
      return packed
    }
    product(.rows(x.pointer, inputs), packed: packed.pointer, result.pointer, outputs, bias: bias?.pointer)
  } else {
    product(.rows(x.pointer, inputs), .columns(whole.pointer, inputs), result.pointer, outputs, bias: bias?.pointer)
  }
  return result.recorded(from: [x, weight] + (bias.map { [$0] } ?? [])) {
    [x = x.detached, weight = weight.detached, needs = (x.isTracked, weight.isTracked, bias?.isTracked ?? false)]
    gradient in
    var back: [Tensor?] = [nil, nil, nil]
    if needs.0 {
      let xGradient = Tensor(unset: x.shape)
      let whole = weight.widened
      MatrixProduct(rows, inputs, outputs)(
        .rows(gradient.pointer, outputs), .rows(whole.pointer, inputs), xGradient.pointer, inputs)
      back[0] = xGradient
    }
    if needs.1 {
      let weightGradient = Tensor(unset: weight.shape)
      MatrixProduct(outputs, inputs, rows)(
        .columns(gradient.pointer, outputs), .rows(x.pointer, inputs), weightGradient.pointer, inputs)
      back[1] = weightGradient
    }
    if needs.2 {
      let biasGradient = Tensor.zeros([outputs])
      addRows(gradient.pointer, to: biasGradient.pointer, rows: rows, columns: outputs)
      back[2] = biasGradient
    }
    return back
  }
}

/// Rows of a table: (ids.count, width), reshaped to `shape` + [width] where a shape is given.
///
/// - Parameters:
///   - table: (rows, width)
///   - ids: rows of the table, each in 0 ..< rows
public func embedding(_ table: Tensor, _ ids: [Int], shape: [Int]? = nil) -> Tensor {
  let (rows, width) = (table.shape[0], table.shape[1])
  let result = Tensor(unset: (shape ?? [ids.count]) + [width])
  precondition(result.count == ids.count * width, "\(ids.count) rows of a table do not have the shape \(result.shape)")
  for (index, id) in ids.enumerated() {
    precondition(id >= 0 && id < rows, "row \(id) of a table of \(rows)")
    (result.pointer + index * width).update(from: table.pointer + id * width, count: width)
  }
  return result.recorded(from: table) { gradient in
    let back = Tensor.zeros([rows, width])
    for (index, id) in ids.enumerated() {
      lethe_axpy(1, gradient.pointer + index * width, back.pointer + id * width, width)
    }
    return [back]
  }
}
