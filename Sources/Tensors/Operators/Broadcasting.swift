internal import CKernels

// Arithmetic of two tensors whose shapes are broadcast to a common one as in NumPy: aligned at the last axis, where
// an axis of extent 1, or a missing one, is repeated.

extension Tensor {
  public static func + (a: Tensor, b: Tensor) -> Tensor {
    binary(LETHE_ADD, a, b).recorded(from: a, b) { [shapes = (a.shape, b.shape)] gradient in
      [gradient.summed(to: shapes.0), gradient.summed(to: shapes.1)]
    }
  }

  public static func - (a: Tensor, b: Tensor) -> Tensor {
    binary(LETHE_SUBTRACT, a, b).recorded(from: a, b) { [shapes = (a.shape, b.shape)] gradient in
      [gradient.summed(to: shapes.0), (-gradient).summed(to: shapes.1)]
    }
  }

  public static func * (a: Tensor, b: Tensor) -> Tensor {
    binary(LETHE_MULTIPLY, a, b).recorded(from: a, b) {
      [x = a.detached, y = b.detached, needs = (a.isTracked, b.isTracked)] gradient in
      [
        needs.0 ? (gradient * y).summed(to: x.shape) : nil,
        needs.1 ? (gradient * x).summed(to: y.shape) : nil,
      ]
    }
  }

  public static func / (a: Tensor, b: Tensor) -> Tensor {
    binary(LETHE_DIVIDE, a, b).recorded(from: a, b) {
      [x = a.detached, y = b.detached, needs = (a.isTracked, b.isTracked)] gradient in
      [
        needs.0 ? (gradient / y).summed(to: x.shape) : nil,
        needs.1 ? (-(gradient * x) / (y * y)).summed(to: y.shape) : nil,
      ]
    }
  }

  public static prefix func - (x: Tensor) -> Tensor { x.affine(scale: -1, offset: 0) }
  public static func + (x: Tensor, c: Float) -> Tensor { x.affine(scale: 1, offset: c) }
  public static func + (c: Float, x: Tensor) -> Tensor { x.affine(scale: 1, offset: c) }
  public static func - (x: Tensor, c: Float) -> Tensor { x.affine(scale: 1, offset: -c) }
  public static func - (c: Float, x: Tensor) -> Tensor { x.affine(scale: -1, offset: c) }
  public static func * (x: Tensor, c: Float) -> Tensor { x.affine(scale: c, offset: 0) }
  public static func * (c: Float, x: Tensor) -> Tensor { x.affine(scale: c, offset: 0) }
  public static func / (x: Tensor, c: Float) -> Tensor { x.affine(scale: 1 / c, offset: 0) }

  /// scale * x + offset
  public func affine(scale: Float, offset: Float) -> Tensor {
    elementwise { lethe_affine($0, scale, offset, $1, $2) }.recorded(from: self) { gradient in
      [scale == 1 ? gradient : gradient * scale]
    }
  }

  private static func binary(_ operation: lethe_binary_op, _ a: Tensor, _ b: Tensor) -> Tensor {
    if a.shape == b.shape {
      let result = Tensor(unset: a.shape)
      parallelPieces(result.count) { piece in
        lethe_binary(
          operation, a.pointer + piece.lowerBound, 1, b.pointer + piece.lowerBound, 1,
          result.pointer + piece.lowerBound, piece.count)
      }
      return result
    }
    let shape = broadcastShape(a.shape, b.shape)
    let result = Tensor(unset: shape)
    let (aStrides, bStrides) = (broadcastStrides(a.shape, to: shape), broadcastStrides(b.shape, to: shape))
    // Trailing axes along which both operands are contiguous, or both repeat one value, make one inner loop.
    var inner = 1
    var outerRank = shape.count
    var innerSteps: (Int, Int)?
    while outerRank > 0 {
      let axis = outerRank - 1
      let extent = shape[axis]
      if extent > 1 {
        let steps = (aStrides[axis] == 0 ? 0 : 1, bStrides[axis] == 0 ? 0 : 1)
        let contiguous = (steps.0 == 0 || aStrides[axis] == inner) && (steps.1 == 0 || bStrides[axis] == inner)
        guard contiguous, innerSteps == nil || innerSteps! == steps else { break }
        innerSteps = steps
      }
      inner *= extent
      outerRank -= 1
    }
    let steps = innerSteps ?? (1, 1)
    let outer = Array(shape[..<outerRank])
    parallelPieces(outer.reduce(1, *), of: inner) { piece in
      forEachOffset(outer, [Array(aStrides[..<outerRank]), Array(bStrides[..<outerRank])], piece) { index, offsets in
        lethe_binary(
          operation, a.pointer + offsets[0], steps.0, b.pointer + offsets[1], steps.1, result.pointer + index * inner,
          inner)
      }
    }
    return result
  }

  /// The sum over the axes along which a tensor of `shape` was repeated to make this shape.
  func summed(to shape: [Int]) -> Tensor {
    if self.shape == shape { return self }
    var result = self
    while result.rank > shape.count { result = result.sum(axis: 0) }
    for axis in 0..<shape.count where shape[axis] == 1 && result.shape[axis] != 1 {
      result = result.sum(axis: axis, keepsAxis: true)
    }
    precondition(result.shape == shape, "a gradient of shape \(self.shape) does not reduce to \(shape)")
    return result
  }
}

func broadcastShape(_ a: [Int], _ b: [Int]) -> [Int] {
  let rank = max(a.count, b.count)
  return (0..<rank).map { axis in
    let x = axis < rank - a.count ? 1 : a[axis - (rank - a.count)]
    let y = axis < rank - b.count ? 1 : b[axis - (rank - b.count)]
    precondition(x == y || x == 1 || y == 1, "the shapes \(a) and \(b) do not broadcast")
    return x == 1 ? y : x
  }
}

/// The distance between neighbours along each axis of `target`: 0 where `shape` repeats.
func broadcastStrides(_ shape: [Int], to target: [Int]) -> [Int] {
  var strides = [Int](repeating: 0, count: target.count)
  var step = 1
  for axis in stride(from: shape.count - 1, through: 0, by: -1) {
    strides[axis + target.count - shape.count] = shape[axis] == 1 ? 0 : step
    step *= shape[axis]
  }
  return strides
}

/// Visits the indices `range` of `shape` in row-major order with the offsets that each row of `strides` gives them.
func forEachOffset(_ shape: [Int], _ strides: [[Int]], _ range: Range<Int>, _ body: (Int, [Int]) -> Void) {
  var position = [Int](repeating: 0, count: shape.count)
  var rest = range.lowerBound
  for axis in shape.indices.reversed() { (rest, position[axis]) = rest.quotientAndRemainder(dividingBy: shape[axis]) }
  var offsets = strides.map { row in zip(row, position).reduce(0) { $0 + $1.0 * $1.1 } }
  for index in range {
    body(index, offsets)
    for axis in stride(from: shape.count - 1, through: 0, by: -1) {
      position[axis] += 1
      for operand in strides.indices { offsets[operand] += strides[operand][axis] }
      if position[axis] < shape[axis] { break }
      for operand in strides.indices { offsets[operand] -= strides[operand][axis] * shape[axis] }
      position[axis] = 0
    }
  }
}
