public import Tensors

/// The kernel distance of two samples of features (Bińkowski et al. 2018, arXiv 1801.01401): the unbiased estimate of
/// the squared maximum mean discrepancy under k(x, y) = (xᵀy / d + 1)³ of features d wide, which is zero on average for
/// samples of one distribution, however few, and so may be negative.
public enum KernelDistance {
  /// - Parameters:
  ///   - first: (vectors, width), two vectors or more
  ///   - second: as many vectors of the same width
  public static func squared(_ first: Matrix, _ second: Matrix) -> Double {
    precondition(
      first.columns == second.columns && first.rows == second.rows && first.rows >= 2,
      "no kernel distance of \(first.rows) x \(first.columns) and \(second.rows) x \(second.columns)")
    let count = Double(first.rows)
    let within = [first, second].reduce(0) { sum, features in
      let kernel = kernel(features, features)
      return sum + kernel.sum - kernel.trace
    }
    return (within / (count - 1) - 2 * kernel(first, second).sum / count) / count
  }

  /// The kernel between each two rows.
  static func kernel(_ first: Matrix, _ second: Matrix) -> Matrix {
    let width = Double(first.columns)
    let products = first.times(second, otherTransposed: true)
    return Matrix(
      products.values.map { value in
        let base = value / width + 1
        return base * base * base
      }, rows: products.rows, columns: products.columns)
  }
}

extension Matrix {
  fileprivate var sum: Double { values.reduce(0, +) }
}

extension Bootstrap {
  /// Kernels between more images than this are not held together.
  private static let mostImages = 4096

  /// The interval of a kernel distance from fixed reference features: that of resamples of the prompts, moved onto the
  /// value; see ``centredInterval(of:_:)``. The kernel is summed up once for each two prompts, and a resample weighs
  /// the sums. The pairs within a prompt are left out of it: what a resample takes twice would be compared with itself.
  ///
  /// - Parameters:
  ///   - features: (images, width)
  ///   - reference: the reference's features
  /// - Returns: nil for fewer than four prompts, and where it would take too much memory. A resample that takes one
  ///   prompt alone has no pairs and is left out: of three prompts that is each ninth resample, of four one in 64.
  func kernelDistance(_ value: Double, of features: Matrix, to reference: Matrix) throws -> ConfidenceInterval? {
    guard prompts > 3, features.rows <= Self.mostImages, reference.rows <= Self.mostImages else { return nil }
    let (within, across) = (
      KernelDistance.kernel(features, features), KernelDistance.kernel(features, reference)
    )
    var pairs = [Double](repeating: 0, count: prompts * prompts)
    var toReference = [Double](repeating: 0, count: prompts)
    var counts = toReference
    for (image, place) in places.enumerated() {
      counts[place] += 1
      for (other, otherPlace) in places.enumerated() where otherPlace != place {
        pairs[place * prompts + otherPlace] += within[image, other]
      }
      for other in 0..<reference.rows { toReference[place] += across[image, other] }
    }
    let sums = Matrix(pairs, rows: prompts, columns: prompts)
    let batch = 50
    let distances = try parallelMap(Self.resamples / batch) { part in
      let rows = (0..<batch).map { multiplicities(part * batch + $0) }
      let weighted = Matrix(rows.flatMap { $0 }, rows: batch, columns: prompts).times(sums)
      return rows.enumerated().map { index, weights -> Double? in
        var (inside, outside, images, sameImages) = (0.0, 0.0, 0.0, 0.0)
        for (place, weight) in weights.enumerated() {
          inside += weight * weighted[index, place]
          outside += weight * toReference[place]
          images += weight * counts[place]
          sameImages += weight * weight * counts[place] * counts[place]
        }
        let imagePairs = images * images - sameImages
        guard imagePairs > 0 else { return nil }
        // What the reference is to itself is the same in every resample, and the move takes it out.
        return inside / imagePairs - 2 * outside / (images * Double(reference.rows))
      }
    }
    return Self.centredInterval(of: value, distances.joined().compactMap(\.self))
  }
}
