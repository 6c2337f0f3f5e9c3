internal import CKernels

extension Tensor {
  /// The sum of all values, accumulated in float64.
  public func sum() -> Tensor {
    Tensor(Float(lethe_sum(pointer, count))).recorded(from: self) { [shape] gradient in
      [Tensor.full(gradient.item, shape)]
    }
  }

  /// The mean of all values, accumulated in float64.
  public func mean() -> Tensor {
    let scale = 1 / Float(count)
    return Tensor(Float(lethe_sum(pointer, count) / Double(count))).recorded(from: self) { [shape] gradient in
      [Tensor.full(gradient.item * scale, shape)]
    }
  }

  /// The sum along one axis, which disappears or, with `keepsAxis`, stays with extent 1.
  public func sum(axis: Int, keepsAxis: Bool = false) -> Tensor {
    let axis = normalized(axis)
    let outer = shape[..<axis].reduce(1, *), extent = shape[axis], inner = shape[(axis + 1)...].reduce(1, *)
    var reduced = shape
    reduced[axis] = 1
    let result = Tensor.zeros(reduced)
    if inner == 1 {
      addColumns(pointer, to: result.pointer, rows: outer, columns: extent)
    } else {
      for index in 0..<outer {
        addRows(pointer + index * extent * inner, to: result.pointer + index * inner, rows: extent, columns: inner)
      }
    }
    let shaped = keepsAxis ? result : result.reshaped(Array(shape[..<axis] + shape[(axis + 1)...]))
    return shaped.recorded(from: self) { [shape] gradient in
      [gradient.reshaped(reduced) + Tensor.zeros(shape)]
    }
  }

  public func mean(axis: Int, keepsAxis: Bool = false) -> Tensor {
    sum(axis: axis, keepsAxis: keepsAxis) / Float(extent(axis))
  }

  /// The sum of squares of all values in float64; a number, not recorded.
  public var sumOfSquares: Double { lethe_sum_of_squares(pointer, count) }

  /// The largest value; 0 of a tensor without any.
  public var largest: Float { withUnsafeValues { $0.max() ?? 0 } }

  /// Adds the squares of `other` to this tensor's values in place: for sums that only their owner sees.
  public mutating func accumulateSquares(of other: Tensor) {
    precondition(shape == other.shape, "squares of shape \(other.shape) added to a sum of shape \(shape)")
    if !isKnownUniquelyReferenced(&storage) || !storage.isWritable { self = copied() }
    parallelPieces(count) { piece in
      lethe_accumulate_squares(other.pointer + piece.lowerBound, pointer + piece.lowerBound, piece.count)
    }
  }

  /// The index of the largest value along the last axis, the lowest where several are equal.
  public func argmaxLastAxis() -> [Int] {
    let width = extent(-1)
    return (0..<count / max(width, 1)).map { row in
      let values = pointer + row * width
      return (0..<width).reduce(0) { values[$1] > values[$0] ? $1 : $0 }
    }
  }
}

/// target[c] += the sum over r of x[r][c], the rows one after the other: which columns a thread takes changes no value.
func addRows(_ x: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
  parallelColumns(columns, ofRows: rows) { strip in
    lethe_add_rows(x + strip.lowerBound, columns, target + strip.lowerBound, rows, strip.count)
  }
}

/// target[r] += the sum over c of x[r][c].
func addColumns(_ x: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
  parallelPieces(rows, of: columns) { piece in
    lethe_add_columns(x + piece.lowerBound * columns, target + piece.lowerBound, piece.count, columns)
  }
}
