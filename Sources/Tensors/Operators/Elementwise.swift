internal import CKernels

// Functions of one tensor, value by value, each beside its derivative.

extension Tensor {
  /// x / (1 + e^-x)
  public func silu() -> Tensor { activation(lethe_silu, lethe_silu_backward) }

  /// x Phi(x) with the exact normal distribution function.
  public func gelu() -> Tensor { activation(lethe_gelu, lethe_gelu_backward) }

  /// x / (1 + e^(-1.702 x)), the approximation that CLIP was trained with.
  public func quickGELU() -> Tensor { activation(lethe_quick_gelu, lethe_quick_gelu_backward) }

  public func sigmoid() -> Tensor {
    let y = elementwise(lethe_sigmoid)
    return y.recorded(from: self) { gradient in [gradient * y * (1 - y)] }
  }

  public func tanh() -> Tensor {
    let y = (detached * 2).elementwise(lethe_sigmoid) * 2 - 1
    return y.recorded(from: self) { gradient in [gradient * (1 - y * y)] }
  }

  public func exp() -> Tensor {
    let y = elementwise(lethe_exp)
    return y.recorded(from: self) { gradient in [gradient * y] }
  }

  public func log() -> Tensor {
    mapped { logarithm($0) }.recorded(from: self) { [x = detached] gradient in [gradient / x] }
  }

  public func squareRoot() -> Tensor {
    let y = mapped { $0.squareRoot() }
    return y.recorded(from: self) { gradient in [gradient * 0.5 / y] }
  }

  public func square() -> Tensor {
    (detached * detached).recorded(from: self) { [x = detached] gradient in [gradient * x * 2] }
  }

  /// |x|, with derivative 0 at 0.
  public func abs() -> Tensor {
    mapped { Swift.abs($0) }.recorded(from: self) { [x = detached] gradient in
      [gradient * x.mapped { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 }]
    }
  }

  public func relu() -> Tensor {
    mapped { $0 < 0 ? 0 : $0 }.recorded(from: self) { [x = detached] gradient in
      [gradient * x.mapped { $0 > 0 ? 1 : 0 }]
    }
  }

  /// x limited to a range; no gradient flows where the limit holds.
  public func clamped(_ range: ClosedRange<Float>) -> Tensor {
    mapped { min(max($0, range.lowerBound), range.upperBound) }.recorded(from: self) { [x = detached] gradient in
      [gradient * x.mapped { range.contains($0) ? 1 : 0 }]
    }
  }

  /// The last axis holds values and gates side by side: value * gelu(gate) (Shazeer, 2020), half as wide.
  public func geglu() -> Tensor {
    let width = extent(-1) / 2
    precondition(extent(-1) == 2 * width, "geglu of a tensor of shape \(shape)")
    let rows = count / max(2 * width, 1)
    let result = Tensor(unset: shape.dropLast() + [width])
    parallelPieces(rows, of: width) { piece in
      let first = piece.lowerBound * width
      lethe_geglu(pointer + 2 * first, result.pointer + first, piece.count, width)
    }
    return result.recorded(from: self) { [x = detached] gradient in
      let back = Tensor(unset: x.shape)
      parallelPieces(rows, of: width) { piece in
        let first = piece.lowerBound * width
        lethe_geglu_backward(
          x.pointer + 2 * first, gradient.pointer + first, back.pointer + 2 * first, piece.count, width)
      }
      return [back]
    }
  }

  private func activation(
    _ forward: @escaping (UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, Int) -> Void,
    _ backward: @escaping (UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, Int) -> Void
  ) -> Tensor {
    elementwise(forward).recorded(from: self) { [x = detached] gradient in
      let back = Tensor(unset: x.shape)
      parallelPieces(x.count) { piece in
        let start = piece.lowerBound
        backward(x.pointer + start, gradient.pointer + start, back.pointer + start, piece.count)
      }
      return [back]
    }
  }

  /// The result of a kernel that goes through the values one by one; not recorded.
  func elementwise(_ kernel: (UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, Int) -> Void) -> Tensor {
    let result = Tensor(unset: shape)
    parallelPieces(count) { piece in
      kernel(pointer + piece.lowerBound, result.pointer + piece.lowerBound, piece.count)
    }
    return result
  }

  /// The result of a function applied to each value; a constant.
  public func mapped(_ function: (Float) -> Float) -> Tensor {
    let result = Tensor(unset: shape)
    for index in 0..<count { result.pointer[index] = function(pointer[index]) }
    return result
  }
}

#if canImport(Glibc)
  internal import Glibc
#endif

private func logarithm(_ x: Float) -> Float { log(x) }
