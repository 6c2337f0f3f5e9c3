internal import CKernels

/// The 2-D convolution (cross-correlation) of images: by minimal filtering where that pays, else as a matrix product
/// with each image's columns.
///
/// - Parameters:
///   - x: (batch, channels, height, width)
///   - weight: (outputs, channels, kernel height, kernel width)
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
  convolution.forward(x, weight, bias, result)
  return result.recorded(from: [x, weight] + (bias.map { [$0] } ?? [])) {
    [x = x.detached, weight = weight.detached, needs = (x.isTracked, weight.isTracked, bias?.isTracked ?? false)]
    gradient in
    [
      needs.0 ? convolution.inputGradient(gradient, weight, shape: x.shape) : nil,
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
  private var winograd: (forward: WinogradConvolution, backward: WinogradConvolution)?

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
    if weight[2] == 3, weight[3] == 3, stride == 1, padding <= 2,
      WinogradConvolution.pays(height: x[2], width: x[3], padding: padding)
    {
      winograd = (
        WinogradConvolution(
          batch: x[0], inputs: x[1], outputs: weight[0], height: x[2], width: x[3], padding: padding,
          isTransposed: false),
        WinogradConvolution(
          batch: x[0], inputs: weight[0], outputs: x[1], height: outHeight, width: outWidth, padding: 2 - padding,
          isTransposed: true)
      )
    }
  }

  var outputShape: [Int] { [batch, outputs, window.out_height, window.out_width] }

  func forward(_ x: Tensor, _ weight: Tensor, _ bias: Tensor?, _ result: Tensor) {
    if let winograd {
      return winograd.forward.forward(x.pointer, weight.pointer, bias: bias?.pointer, result.pointer)
    }
    forEachItem { item in
      let out = result.pointer + item * outputs * pixels
      if let bias { lethe_fill_each_row(bias.pointer, out, outputs, pixels) }
      withColumns(of: x.pointer + item * inputCount) { columns in
        MatrixProduct(outputs, pixels, depth)(
          .rows(weight.pointer, depth), .rows(columns, pixels), out, pixels, accumulates: bias != nil)
      }
    }
  }

  func inputGradient(_ gradient: Tensor, _ weight: Tensor, shape: [Int]) -> Tensor {
    if let winograd {
      let result = Tensor(unset: shape)
      winograd.backward.forward(gradient.pointer, weight.pointer, bias: nil, result.pointer)
      return result
    }
    let result = isPointwise ? Tensor(unset: shape) : Tensor.zeros(shape)
    forEachItem { item in
      let out = gradient.pointer + item * outputs * pixels
      let image = result.pointer + item * inputCount
      let product = MatrixProduct(depth, pixels, outputs)
      if isPointwise {
        product(.columns(weight.pointer, depth), .rows(out, pixels), image, pixels)
      } else {
        let columns = Storage(count: depth * pixels)
        product(.columns(weight.pointer, depth), .rows(out, pixels), columns.pointer, pixels)
        withUnsafePointer(to: window) { lethe_columns_to_image(columns.pointer, pixels, $0, image) }
      }
    }
    return result
  }

  /// The sum over the batch of gradient x columns^T. Small images are joined so that a product has some depth.
  func weightGradient(_ gradient: Tensor, _ x: Tensor, shape: [Int]) -> Tensor {
    let result = Tensor(unset: shape)
    if let winograd {
      winograd.forward.weightGradient(gradient.pointer, x.pointer, result.pointer)
      return result
    }
    let group = min(batch, max(1, 256 / pixels))
    let columns = Storage(count: depth * group * pixels)
    let gradients = Storage(count: outputs * group * pixels)
    for first in stride(from: 0, to: batch, by: group) {
      let joined = min(group, batch - first)
      let width = joined * pixels
      parallelFor(joined) { index in
        let item = first + index
        let image = x.pointer + item * inputCount
        if isPointwise {
          copyRows(image, depth, pixels, to: columns.pointer + index * pixels, rowStride: width)
        } else {
          withUnsafePointer(to: window) {
            lethe_image_to_columns(image, $0, columns.pointer + index * pixels, width)
          }
        }
        copyRows(
          gradient.pointer + item * outputs * pixels, outputs, pixels, to: gradients.pointer + index * pixels,
          rowStride: width)
      }
      MatrixProduct(outputs, depth, width)(
        .rows(gradients.pointer, width), .columns(columns.pointer, width), result.pointer, depth,
        accumulates: first > 0)
    }
    return result
  }

  func biasGradient(_ gradient: Tensor) -> Tensor {
    let result = Tensor.zeros([outputs])
    for item in 0..<batch {
      lethe_add_columns(gradient.pointer + item * outputs * pixels, result.pointer, outputs, pixels)
    }
    return result
  }

  /// Threads share the items where there are enough of them, else the products of each.
  private func forEachItem(_ body: (Int) -> Void) {
    if batch >= Parallel.threadCount { parallelFor(batch, body) } else { (0..<batch).forEach(body) }
  }

  private func withColumns(of image: UnsafePointer<Float>, _ body: (UnsafePointer<Float>) -> Void) {
    if isPointwise { return body(image) }
    let columns = Storage(count: depth * pixels)
    withUnsafePointer(to: window) { lethe_image_to_columns(image, $0, columns.pointer, pixels) }
    body(columns.pointer)
  }

  private func copyRows(
    _ source: UnsafePointer<Float>, _ rows: Int, _ width: Int, to target: UnsafeMutablePointer<Float>, rowStride: Int
  ) {
    for row in 0..<rows { (target + row * rowStride).update(from: source + row * width, count: width) }
  }
}

/// Doubles height and width by repeating each pixel.
///
/// - Parameter x: (..., height, width)
public func upsampleNearest2x(_ x: Tensor) -> Tensor {
  let (height, width) = (x.extent(-2), x.extent(-1))
  let planes = x.count / max(height * width, 1)
  let result = Tensor(unset: x.shape.dropLast(2) + [2 * height, 2 * width])
  lethe_upsample_nearest_2x(x.pointer, result.pointer, planes, height, width)
  return result.recorded(from: x) { [shape = x.shape] gradient in
    let back = Tensor(unset: shape)
    lethe_sum_2x2(gradient.pointer, back.pointer, planes, height, width)
    return [back]
  }
}
