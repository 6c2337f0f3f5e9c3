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
    covariance = rows.columnCovariance
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
    let roots = try covariance.symmetricSquareRoot().times(other.covariance.symmetricSquareRoot())
    let shared = try roots.singularValues().reduce(0, +)
    // A distance is not negative; rounding may be.
    return max(0, shift + covariance.trace + other.covariance.trace - 2 * shared)
  }
}
