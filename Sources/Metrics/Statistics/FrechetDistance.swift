public import Tensors

/// The mean and covariance of a set of feature vectors, in float64: the Gaussian that the Fréchet distance compares.
public struct FeatureStatistics: Sendable {
  /// The number of vectors.
  public let count: Int
  public let mean: [Double]
  /// The sample covariance, with N - 1 under it.
  public let covariance: Matrix

  /// - Parameter features: (vectors, width), two vectors or more
  public init(_ features: Tensor) {
    precondition(features.rank == 2 && features.shape[0] >= 2, "no covariance of features of shape \(features.shape)")
    let rows = Matrix(features)
    count = rows.rows
    mean = rows.columnMeans
    covariance = rows.columns <= Self.block ? rows.columnCovariance : Self.blockedCovariance(rows, mean)
  }

  /// Columns of a block; features no wider than this are one, and their covariance one product.
  private static let block = 256

  /// The sample covariance block by block of columns, the upper half of them, on all threads: wide features as those of
  /// Inception take seconds else. The cut depends on the width alone.
  private static func blockedCovariance(_ rows: Matrix, _ mean: [Double]) -> Matrix {
    let width = rows.columns
    let starts = Array(stride(from: 0, to: width, by: block))
    let centred = inParallel(starts.count) { index in
      let columns = starts[index]..<min(starts[index] + block, width)
      var values: [Double] = []
      values.reserveCapacity(rows.rows * columns.count)
      rows.values.withUnsafeBufferPointer { all in
        for row in 0..<rows.rows {
          for column in columns { values.append(all[row * width + column] - mean[column]) }
        }
      }
      return Matrix(values, rows: rows.rows, columns: columns.count)
    }
    let pairs = starts.indices.flatMap { first in (first..<starts.count).map { (first, $0) } }
    let products = inParallel(pairs.count) { centred[pairs[$0].0].times(centred[pairs[$0].1], transposed: true) }
    var covariance = [Double](repeating: 0, count: width * width)
    for ((first, second), product) in zip(pairs, products) {
      for row in 0..<product.rows {
        for column in 0..<product.columns {
          let value = product[row, column] / Double(rows.rows - 1)
          covariance[(starts[first] + row) * width + starts[second] + column] = value
          covariance[(starts[second] + column) * width + starts[first] + row] = value
        }
      }
    }
    return Matrix(covariance, rows: width, columns: width)
  }

  private static func inParallel(_ count: Int, _ body: (Int) -> Matrix) -> [Matrix] {
    var results = [Matrix?](repeating: nil, count: count)
    results.withUnsafeMutableBufferPointer { slots in
      nonisolated(unsafe) let slots = slots
      parallelFor(count) { slots[$0] = body($0) }
    }
    return results.compactMap(\.self)
  }

  /// The squared Fréchet (2-Wasserstein) distance of the two Gaussians (Dowson and Landau 1982; Heusel et al. 2017,
  /// arXiv 1706.08500, equation 6): ‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½).
  ///
  /// The trace of (Σ₁ Σ₂)^½ is the sum of the singular values of Σ₁^½ Σ₂^½. So nothing has to be inverted or
  /// regularised, and covariances of less than full rank, from few images or from features that never vary, are no
  /// special case.
  ///
  /// - Throws: `MatrixError` where a feature is not a finite number.
  public func frechetDistance(to other: FeatureStatistics) throws -> Double {
    precondition(mean.count == other.mean.count, "features of width \(mean.count) and \(other.mean.count)")
    let shift = zip(mean, other.mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let roots = try parallelMap(2) { try [covariance, other.covariance][$0].symmetricSquareRoot() }
    let shared = try roots[0].times(roots[1]).singularValues().reduce(0, +)
    // A distance is not negative; rounding may be.
    return max(0, shift + covariance.trace + other.covariance.trace - 2 * shared)
  }
}
