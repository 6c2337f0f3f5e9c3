/// An immutable array of float32 values in row-major order.
///
/// A tensor is a value: operators return new ones and never change their operands. Reshaped tensors share memory.
/// A tensor that a ``Tape`` watches, or that was computed from one, also knows its place on that tape; every other
/// tensor is a constant, and operators on constants record nothing.
///
/// Shapes that do not fit are programming errors and stop the program with both shapes in the message; data that
/// comes from outside is checked where it is read (``Weights``, ``SafetensorsFile``).
public struct Tensor {
  public let shape: [Int]
  var storage: Storage
  var node: Tape.Node?

  init(shape: [Int], storage: Storage, node: Tape.Node? = nil) {
    self.shape = shape
    self.storage = storage
    self.node = node
  }

  /// Room for a result; whoever asks must set every value before anyone else sees the tensor.
  init(unset shape: [Int]) {
    self.init(shape: shape, storage: Storage(shape: shape))
  }

  public init(_ values: [Float], shape: [Int]) {
    precondition(values.count == shape.reduce(1, *), "\(values.count) values do not fill the shape \(shape)")
    self.init(unset: shape)
    values.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { storage.pointer.update(from: base, count: source.count) }
    }
  }

  /// A single value, of shape [].
  public init(_ value: Float) { self.init([value], shape: []) }

  public static func full(_ value: Float, _ shape: [Int]) -> Tensor {
    let result = Tensor(unset: shape)
    parallelPieces(result.count) { piece in
      (result.storage.pointer + piece.lowerBound).update(repeating: value, count: piece.count)
    }
    return result
  }

  public static func zeros(_ shape: [Int]) -> Tensor { full(0, shape) }
  public static func ones(_ shape: [Int]) -> Tensor { full(1, shape) }

  /// A tensor whose values `fill` writes; it must set all of them.
  public static func make(
    _ shape: [Int], _ fill: (UnsafeMutableBufferPointer<Float>) throws -> Void
  ) rethrows -> Tensor {
    let result = Tensor(unset: shape)
    try fill(UnsafeMutableBufferPointer(start: result.storage.pointer, count: result.count))
    return result
  }

  public var count: Int { storage.count }
  public var rank: Int { shape.count }

  /// A copy of the values.
  public var values: [Float] { withUnsafeValues(Array.init) }

  /// The value of a tensor that has one.
  public var item: Float {
    precondition(count == 1, "a tensor of shape \(shape) is not one value")
    return pointer[0]
  }

  public func withUnsafeValues<Result>(_ body: (UnsafeBufferPointer<Float>) throws -> Result) rethrows -> Result {
    let storage = widened.storage
    return try withExtendedLifetime(storage) {
      try body(UnsafeBufferPointer(start: storage.pointer, count: storage.count))
    }
  }

  /// The same values as a constant: no gradient flows through it.
  public var detached: Tensor { Tensor(shape: shape, storage: storage) }

  /// Whether the values are kept in half precision: those of a large weight, which convolutions and linear layers widen
  /// while they run. Every other operator asks for ``widened``, and nobody for a gradient with respect to it.
  public var isHalf: Bool { storage.halves != nil }

  /// This tensor in float32: itself where it is.
  public var widened: Tensor {
    guard let halves = storage.halves else { return self }
    return withExtendedLifetime(storage) {
      Tensor(shape: shape, storage: Storage(widening: halves, count: count))
    }
  }

  /// These values in half precision, a constant.
  func halved() -> Tensor { isHalf ? detached : Tensor(shape: shape, storage: Storage(halving: storage)) }

  /// Whether a tape records what is computed from this tensor.
  public var isTracked: Bool { node != nil }

  var pointer: UnsafeMutablePointer<Float> { storage.pointer }

  /// Extent of an axis; negative axes count from the last.
  public func extent(_ axis: Int) -> Int { shape[normalized(axis)] }

  func normalized(_ axis: Int) -> Int {
    let result = axis < 0 ? axis + rank : axis
    precondition(result >= 0 && result < rank, "axis \(axis) of a tensor of shape \(shape)")
    return result
  }
}

extension Tensor: CustomStringConvertible {
  public var description: String {
    let shown = withUnsafeValues { $0.prefix(8).map { "\($0)" }.joined(separator: ", ") }
    return "Tensor \(shape) [\(shown)\(count > 8 ? ", ..." : "")]"
  }
}
