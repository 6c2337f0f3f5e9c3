/// The extents of a convolution of 3 x 3 filters with a stride of 1, or of its gradient by the input.
struct FilteringExtents {
  let batch: Int
  let inputs: Int
  let outputs: Int
  let height: Int
  let width: Int
  let padding: Int
  /// Whether the filters are those of the gradient by the input: turned by 180 degrees, inputs and outputs exchanged.
  var isTransposed = false

  var outHeight: Int { height + 2 * padding - 2 }
  var outWidth: Int { width + 2 * padding - 2 }

  /// The gradient by the input, of an output whose gradient is its input.
  var transposed: FilteringExtents {
    FilteringExtents(
      batch: batch, inputs: outputs, outputs: inputs, height: outHeight, width: outWidth, padding: 2 - padding,
      isTransposed: true)
  }
}

/// A way to compute such a convolution with fewer multiplications (Lavin and Gray, "Fast Algorithms for Convolutional
/// Neural Networks", 2015), at the price of transforms on the way in and out. A value depends on its own image and
/// filter alone.
protocol MinimalFiltering {
  var extents: FilteringExtents { get }

  init(_ extents: FilteringExtents)

  /// Whether the transforms repay themselves; it depends on one image, never on the batch.
  static func pays(_ extents: FilteringExtents) -> Bool

  /// The same of the gradient by the filters, whose products run along the tiles of all images.
  var gradientPays: Bool { get }

  /// - Parameters:
  ///   - x: (batch, inputs, height, width)
  ///   - weight: (outputs, inputs, 3, 3), or (inputs, outputs, 3, 3) for the gradient by the input
  func forward(_ x: Tensor, _ weight: Tensor, bias: Tensor?, _ result: Tensor)

  /// The gradient by the filters, (outputs, inputs, 3, 3), from that of the output.
  func weightGradient(
    _ gradient: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ result: UnsafeMutablePointer<Float>)
}

extension MinimalFiltering {
  var batch: Int { extents.batch }
  var inputs: Int { extents.inputs }
  var outputs: Int { extents.outputs }
  var height: Int { extents.height }
  var width: Int { extents.width }
  var padding: Int { extents.padding }
  var isTransposed: Bool { extents.isTransposed }
  var outHeight: Int { extents.outHeight }
  var outWidth: Int { extents.outWidth }

  /// What keeps the points of one tile from falling on each other in a cache, in values.
  static var skew: Int { 32 }
  /// Values of a transform's vectors.
  static var lanes: Int { 16 }

  func wholeVectors(_ count: Int) -> Int { (count + Self.lanes - 1) / Self.lanes * Self.lanes }
}
