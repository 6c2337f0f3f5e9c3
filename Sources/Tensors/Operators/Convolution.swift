internal import CKernels

/// The 2-D convolution (cross-correlation) of images: by minimal filtering where that pays, else as a matrix product
/// with each image's columns.
///
/// - Parameters:
///   - x: (batch, channels, height, width)
///   - weight: (outputs, channels, kernel height, kernel width); may be in half precision
///   - bias: (outputs)
///   - stride: step between windows, along both axes
///   - padding: zeros around each image
/// - Returns: (batch, outputs, out height, out width)
public func conv2d(_ x: Tensor, weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0) -> Tensor {
  precondition(
    x.rank == 4 && weight.rank == 4 && x.shape[1] == weight.shape[1],
    "a convolution of shape \(weight.shape) on a tensor of shape \(x.shape)")
  let convolution = Convolution(x.shape, weight.shape, stride: stride, padding: padding)
  let result = Tensor(unset: convolution.outputShape)
  convolution.forward(x, weight.widened, bias, result)
  return result.recorded(from: [x, weight] + (bias.map { [$0] } ?? [])) {
    [x = x.detached, weight = weight.detached, needs = (x.isTracked, weight.isTracked, bias?.isTracked ?? false)]
    gradient in
    [
      needs.0 ? convolution.inputGradient(gradient, weight.widened, shape: x.shape) : nil,
      needs.1 ? convolution.weightGradient(gradient, x, shape: weight.shape) : nil,
      needs.2 ? convolution.biasGradient(gradient) : nil,
    ]
  }
}

/// The extents of one convolution and the three products it needs.
private struct Convolution {
  let batch: Int
  let outputs: Int
  var window: lethe_window
  /// Values of a column: channels * kernel height * kernel width.
  let depth: Int
  /// Pixels of an output image.
  let pixels: Int
  let inputCount: Int
  /// A 1 x 1 kernel that visits every pixel: the image is its own matrix of columns.
  let isPointwise: Bool
  /// The same convolution by minimal filtering, and its gradient by the input, where that pays.
  private var filtering: (forward: any MinimalFiltering, backward: any MinimalFiltering)?

  init(_ x: [Int], _ weight: [Int], stride: Int, padding: Int) {
    let outHeight = (x[2] + 2 * padding - weight[2]) / stride + 1
    let outWidth = (x[3] + 2 * padding - weight[3]) / stride + 1
    precondition(outHeight > 0 && outWidth > 0, "a kernel of shape \(weight) does not fit a tensor of shape \(x)")
    batch = x[0]
    outputs = weight[0]
    window = lethe_window(
      channels: x[1], height: x[2], width: x[3], kernel_height: weight[2], kernel_width: weight[3], stride: stride,
      padding_top: padding, padding_left: padding, out_height: outHeight, out_width: outWidth)
    depth = weight[1] * weight[2] * weight[3]
    pixels = outHeight * outWidth
    inputCount = x[1] * x[2] * x[3]
    isPointwise = weight[2] == 1 && weight[3] == 1 && stride == 1 && padding == 0
    guard weight[2] == 3, weight[3] == 3, stride == 1, padding <= 2 else { return }
    let extents = FilteringExtents(
      batch: x[0], inputs: x[1], outputs: weight[0], height: x[2], width: x[3], padding: padding)
    let methods: [any MinimalFiltering.Type] = [SmallMapConvolution.self, WinogradConvolution.self]
    filtering = methods.first { $0.pays(extents) }.map { ($0.init(extents), $0.init(extents.transposed)) }
  }

  var outputShape: [Int] { [batch, outputs, window.out_height, window.out_width] }

  func forward(_ x: Tensor, _ weight: Tensor, _ bias: Tensor?, _ result: Tensor) {
    if let filtering { return filtering.forward.forward(x, weight, bias: bias, result) }
    if isPointwise {
      return share(batch) { item in
        let out = result.pointer + item * outputs * pixels
        if let bias { lethe_fill_each_row(bias.pointer, out, outputs, pixels) }
        MatrixProduct(outputs, pixels, depth)(
          .rows(weight.pointer, depth), .rows(x.pointer + item * inputCount, pixels), out, pixels,
          accumulates: bias != nil)
      }
    }
    let groups = groups
    share(groups.count) { group in
      let items = groups[group], width = items.count * pixels
      let columns = columns(of: x, items)
      let out = Storage(count: outputs * width)
      if let bias { lethe_fill_each_row(bias.pointer, out.pointer, outputs, width) }
      MatrixProduct(outputs, width, depth)(
        .rows(weight.pointer, depth), .rows(columns.pointer, width), out.pointer, width, accumulates: bias != nil)
      for (index, item) in items.enumerated() {
        copyRows(
          out.pointer + index * pixels, outputs, pixels, rowStride: width,
          to: result.pointer + item * outputs * pixels, rowStride: pixels)
      }
    }
  }

  func inputGradient(_ gradient: Tensor, _ weight: Tensor, shape: [Int]) -> Tensor {
    if let filtering {
      let result = Tensor(unset: shape)
      filtering.backward.forward(gradient, weight, bias: nil, result)
      return result
    }
    if isPointwise {
      let result = Tensor(unset: shape)
      share(batch) { item in
        MatrixProduct(depth, pixels, outputs)(
          .columns(weight.pointer, depth), .rows(gradient.pointer + item * outputs * pixels, pixels),
          result.pointer + item * inputCount, pixels)
      }
      return result
    }
    let result = Tensor.zeros(shape)
    let groups = groups
    share(groups.count) { group in
      let items = groups[group], width = items.count * pixels
      let out = joined(gradient, items)
      let columns = Storage(count: depth * width)
      MatrixProduct(depth, width, outputs)(
        .columns(weight.pointer, depth), .rows(out.pointer, width), columns.pointer, width)
      for (index, item) in items.enumerated() {
        withUnsafePointer(to: window) {
          lethe_columns_to_image(columns.pointer + index * pixels, width, $0, result.pointer + item * inputCount)
        }
      }
    }
    return result
  }

  func weightGradient(_ gradient: Tensor, _ x: Tensor, shape: [Int]) -> Tensor {
    let result = Tensor(unset: shape)
    if let filtering, filtering.forward.gradientPays {
      filtering.forward.weightGradient(gradient.pointer, x.pointer, result.pointer)
      return result
    }
    for items in groups {
      let width = items.count * pixels
      let (columns, out) = (columns(of: x, items), joined(gradient, items))
      MatrixProduct(outputs, depth, width)(
        .rows(out.pointer, width), .columns(columns.pointer, width), result.pointer, depth,
        accumulates: items.lowerBound > 0)
    }
    return result
  }

  func biasGradient(_ gradient: Tensor) -> Tensor {
    let result = Tensor.zeros([outputs])
    for item in 0..<batch {
      addColumns(gradient.pointer + item * outputs * pixels, to: result.pointer, rows: outputs, columns: pixels)
    }
    return result
  }

  /// Small images are joined, side by side, so that a product is worth its while; it changes no value.
  private var groups: [Range<Int>] {
    let size = max(1, 256 / pixels)
    return stride(from: 0, to: batch, by: size).map { $0..<min($0 + size, batch) }
  }

  /// Threads share the parts where there are enough of them, else the products of each.
  private func share(_ parts: Int, _ body: (Int) -> Void) {
    guard parts >= Parallel.threadCount else { return (0..<parts).forEach(body) }
    parallelFor(parts, body)
  }

  /// The columns of several images, (depth, items * pixels).
  private func columns(of x: Tensor, _ items: Range<Int>) -> Storage {
    let width = items.count * pixels
    let columns = Storage(count: depth * width)
    parallelFor(items.count) { index in
      let image = x.pointer + (items.lowerBound + index) * inputCount
      let target = columns.pointer + index * pixels
      if isPointwise {
        copyRows(image, depth, pixels, rowStride: pixels, to: target, rowStride: width)
      } else {
        withUnsafePointer(to: window) { lethe_image_to_columns(image, $0, target, width) }
      }
    }
    return columns
  }

  /// Several output images side by side, (outputs, items * pixels).
  private func joined(_ gradient: Tensor, _ items: Range<Int>) -> Storage {
    let width = items.count * pixels
    let joined = Storage(count: outputs * width)
    for (index, item) in items.enumerated() {
      copyRows(
        gradient.pointer + item * outputs * pixels, outputs, pixels, rowStride: pixels,
        to: joined.pointer + index * pixels, rowStride: width)
    }
    return joined
  }

  private func copyRows(
    _ source: UnsafePointer<Float>, _ rows: Int, _ width: Int, rowStride: Int,
    to target: UnsafeMutablePointer<Float>, rowStride targetStride: Int
  ) {
    for row in 0..<rows {
      (target + row * targetStride).update(from: source + row * rowStride, count: width)
    }
  }
}

/// Doubles height and width by repeating each pixel.
///
/// - Parameter x: (..., height, width)
public func upsampleNearest2x(_ x: Tensor) -> Tensor {
  let (height, width) = (x.extent(-2), x.extent(-1))
  let planes = x.count / max(height * width, 1)
  let result = Tensor(unset: x.shape.dropLast(2) + [2 * height, 2 * width])
  let plane = height * width
  parallelPieces(planes, of: 4 * plane) { piece in
    let first = piece.lowerBound * plane
    lethe_upsample_nearest_2x(x.pointer + first, result.pointer + 4 * first, piece.count, height, width)
  }
  return result.recorded(from: x) { [shape = x.shape] gradient in
    let back = Tensor(unset: shape)
    parallelPieces(planes, of: 4 * plane) { piece in
      let first = piece.lowerBound * plane
      lethe_sum_2x2(gradient.pointer + 4 * first, back.pointer + first, piece.count, height, width)
    }
    return [back]
  }
}
