internal import CKernels

// Operators that move values and change none.

extension Tensor {
  /// The same values under another shape; shares memory.
  public func reshaped(_ newShape: [Int]) -> Tensor {
    precondition(newShape.reduce(1, *) == count, "a tensor of shape \(shape) does not have the shape \(newShape)")
    if newShape == shape { return self }
    return Tensor(shape: newShape, storage: storage).recorded(from: self) { [shape] gradient in
      [gradient.reshaped(shape)]
    }
  }

  /// Swaps the last two axes.
  public func transposedLast() -> Tensor {
    precondition(rank >= 2, "the transpose of a tensor of shape \(shape)")
    let rows = extent(-2), columns = extent(-1)
    let result = Tensor(unset: shape.dropLast(2) + [columns, rows])
    // Sixteen columns, a cache line of a row, make sixteen rows of the result.
    let strips = (columns + 15) / 16
    parallelPieces(count / max(rows * columns, 1) * strips, of: 16 * rows) { piece in
      for number in piece {
        let (matrix, first) = (number / strips * rows * columns, number % strips * 16)
        lethe_transpose(
          pointer + matrix + first, columns, result.pointer + matrix + first * rows, rows, min(16, columns - first))
      }
    }
    return result.recorded(from: self) { gradient in [gradient.transposedLast()] }
  }

  /// Axis i of the result is axis `permutation[i]` of this tensor.
  public func permuted(_ permutation: [Int]) -> Tensor {
    precondition(permutation.sorted() == Array(0..<rank), "the axes \(permutation) of a tensor of shape \(shape)")
    let strides = broadcastStrides(shape, to: shape)
    let result = Tensor(unset: permutation.map { shape[$0] })
    parallelPieces(count) { piece in
      forEachOffset(result.shape, [permutation.map { strides[$0] }], piece) { index, offsets in
        result.pointer[index] = pointer[offsets[0]]
      }
    }
    return result.recorded(from: self) { gradient in
      var inverse = permutation
      for (axis, source) in permutation.enumerated() { inverse[source] = axis }
      return [gradient.permuted(inverse)]
    }
  }

  /// The entries `range` of an axis.
  public func slice(axis: Int, _ range: Range<Int>) -> Tensor {
    let axis = normalized(axis)
    precondition(
      range.lowerBound >= 0 && range.upperBound <= shape[axis], "entries \(range) of axis \(axis) of shape \(shape)")
    let outer = shape[..<axis].reduce(1, *), inner = shape[(axis + 1)...].reduce(1, *)
    let (whole, part) = (shape[axis] * inner, range.count * inner)
    var newShape = shape
    newShape[axis] = range.count
    let result = Tensor(unset: newShape)
    for index in 0..<outer {
      parallelCopy(pointer + index * whole + range.lowerBound * inner, to: result.pointer + index * part, count: part)
    }
    return result.recorded(from: self) { [shape] gradient in
      let back = Tensor.zeros(shape)
      for index in 0..<outer {
        parallelCopy(
          gradient.pointer + index * part, to: back.pointer + index * whole + range.lowerBound * inner, count: part)
      }
      return [back]
    }
  }

  /// Adds `padding` zeros behind the last row and column of images (..., height, width), as the downsampling
  /// convolutions of AutoencoderKL ask for.
  public func paddedAtEnd(_ padding: Int) -> Tensor {
    let height = extent(-2), width = extent(-1)
    let planes = count / max(height * width, 1)
    let (paddedHeight, paddedWidth) = (height + padding, width + padding)
    let result = Tensor.zeros(shape.dropLast(2) + [paddedHeight, paddedWidth])
    for plane in 0..<planes {
      for row in 0..<height {
        (result.pointer + (plane * paddedHeight + row) * paddedWidth).update(
          from: pointer + (plane * height + row) * width, count: width)
      }
    }
    return result.recorded(from: self) { gradient in
      [gradient.slice(axis: -2, 0..<height).slice(axis: -1, 0..<width)]
    }
  }
}

/// Joins tensors along an axis; the other axes must agree.
public func concatenate(_ tensors: [Tensor], axis: Int) -> Tensor {
  precondition(!tensors.isEmpty, "concatenating no tensors")
  let axis = tensors[0].normalized(axis)
  var shape = tensors[0].shape
  shape[axis] = tensors.reduce(0) { sum, tensor in
    var same = tensor.shape
    precondition(same.count == shape.count, "concatenating shapes \(tensors[0].shape) and \(tensor.shape)")
    same[axis] = tensors[0].shape[axis]
    precondition(same == tensors[0].shape, "concatenating shapes \(tensors[0].shape) and \(tensor.shape)")
    return sum + tensor.shape[axis]
  }
  let outer = shape[..<axis].reduce(1, *), inner = shape[(axis + 1)...].reduce(1, *)
  let result = Tensor(unset: shape)
  var start = 0
  for tensor in tensors {
    let part = tensor.shape[axis] * inner
    for index in 0..<outer {
      parallelCopy(
        tensor.pointer + index * part, to: result.pointer + index * shape[axis] * inner + start, count: part)
    }
    start += part
  }
  return result.recorded(from: tensors) { [extents = tensors.map { $0.shape[axis] }] gradient in
    var first = 0
    return extents.map { extent in
      defer { first += extent }
      return gradient.slice(axis: axis, first..<first + extent)
    }
  }
}

/// Joins tensors of one shape along a new first axis.
public func stack(_ tensors: [Tensor]) -> Tensor {
  concatenate(tensors.map { $0.reshaped([1] + $0.shape) }, axis: 0)
}
