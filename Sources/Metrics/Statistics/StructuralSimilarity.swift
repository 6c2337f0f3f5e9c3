public import Diffusion

/// The structural similarity of two images of one size (Wang et al., IEEE TIP 2004), as scikit-image computes it:
/// uniform windows that lie wholly inside, sample covariances, K1 = 0.01, K2 = 0.03, levels 0 to 255, the mean over
/// windows and channels. 1 is identity.
public struct StructuralSimilarity: Sendable {
  /// Height and width of a window in pixels, odd and at least 3.
  public let window: Int

  public init(window: Int) {
    precondition(window >= 3 && window % 2 == 1, "a window of \(window) pixels")
    self.window = window
  }

  /// - Throws: ``MetricError`` where the images are not of one size or smaller than a window.
  public func mean(_ a: RGBImage, _ b: RGBImage) throws -> Double {
    guard a.width == b.width, a.height == b.height, a.width >= window, a.height >= window else {
      throw MetricError(
        "ssim: images of \(a.width) x \(a.height) and \(b.width) x \(b.height) pixels for windows of \(window)")
    }
    var sum = 0.0
    for channel in 0..<3 { sum += mean(plane(a, channel), plane(b, channel), width: a.width, height: a.height) }
    return sum / 3
  }

  private func plane(_ image: RGBImage, _ channel: Int) -> [Double] {
    stride(from: channel, to: image.pixels.count, by: 3).map { Double(image.pixels[$0]) }
  }

  private func mean(_ x: [Double], _ y: [Double], width: Int, height: Int) -> Double {
    let sums = [x, y, zip(x, x).map(*), zip(y, y).map(*), zip(x, y).map(*)]
      .map { WindowSums($0, width: width, height: height, window: window) }
    let count = Double(window * window)
    let (c1, c2) = (0.01 * 255 * 0.01 * 255, 0.03 * 255 * 0.03 * 255)
    var total = 0.0
    let (rows, columns) = (height - window + 1, width - window + 1)
    for row in 0..<rows {
      for column in 0..<columns {
        let s = sums.map { $0[row, column] / count }
        let (meanX, meanY) = (s[0], s[1])
        let scale = count / (count - 1)
        let (varianceX, varianceY) = (scale * (s[2] - meanX * meanX), scale * (s[3] - meanY * meanY))
        let covariance = scale * (s[4] - meanX * meanY)
        total +=
          (2 * meanX * meanY + c1) * (2 * covariance + c2)
          / ((meanX * meanX + meanY * meanY + c1) * (varianceX + varianceY + c2))
      }
    }
    return total / Double(rows * columns)
  }
}

/// The sums of a plane's values over all windows, from its summed area table.
private struct WindowSums {
  private let table: [Double]
  private let stride: Int
  private let window: Int

  init(_ values: [Double], width: Int, height: Int, window: Int) {
    stride = width + 1
    self.window = window
    var table = [Double](repeating: 0, count: stride * (height + 1))
    for row in 0..<height {
      var line = 0.0
      for column in 0..<width {
        line += values[row * width + column]
        table[(row + 1) * stride + column + 1] = table[row * stride + column + 1] + line
      }
    }
    self.table = table
  }

  subscript(row: Int, column: Int) -> Double {
    let (top, bottom) = (row * stride, (row + window) * stride)
    return table[bottom + column + window] - table[top + column + window] - table[bottom + column] + table[top + column]
  }
}
