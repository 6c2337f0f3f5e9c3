internal import Tensors

extension Bootstrap {
  /// Wider features, or more prompts of them, are not resampled: a thousand distances of covariances 2,048 wide take
  /// hours, and the second moments of each prompt gigabytes.
  private static let mostFeatures = 128
  private static let mostMoments = 1 << 25

  /// The interval of a Fréchet distance from fixed reference statistics: that of resamples of the prompts, moved onto
  /// the value; see ``centredInterval(of:_:)``. Each prompt is summed up once, by its number of images, the sum of
  /// their features and that of the products of each two, so that the moments of all resamples are one product of
  /// matrices.
  ///
  /// - Parameter features: (images, width)
  /// - Returns: nil for fewer than two prompts, and where it would take too long
  func frechetDistance(
    _ value: Double, of features: Tensor, to reference: FeatureStatistics
  ) throws -> ConfidenceInterval? {
    let width = features.shape[1]
    let moments = 1 + width + width * (width + 1) / 2
    guard prompts > 1, width <= Self.mostFeatures, prompts * moments <= Self.mostMoments else { return nil }
    let sums = promptMoments(Matrix(features), about: reference.mean, moments: moments)
    let root = try reference.covariance.symmetricSquareRoot()
    let batch = 50
    let distances = try parallelMap(Self.resamples / batch) { part in
      let weights = Matrix((0..<batch).flatMap { multiplicities(part * batch + $0) }, rows: batch, columns: prompts)
      let resampled = weights.times(sums)
      return try (0..<batch).map { row in
        try Self.distance(
          Array(resampled.values[row * moments..<(row + 1) * moments]), width: width, to: reference, root: root)
      }
    }
    return Self.centredInterval(of: value, Array(distances.joined()))
  }

  /// For each prompt, a row: the number of its images, the sum of their features less `centre`, and the upper triangle
  /// of the sum of the products of these.
  private func promptMoments(_ features: Matrix, about centre: [Double], moments: Int) -> Matrix {
    let width = features.columns
    var sums = [Double](repeating: 0, count: prompts * moments)
    for (image, place) in places.enumerated() {
      let row = (0..<width).map { features[image, $0] - centre[$0] }
      var at = place * moments
      sums[at] += 1
      at += 1
      for value in row {
        sums[at] += value
        at += 1
      }
      for (first, value) in row.enumerated() {
        for second in first..<width {
          sums[at] += value * row[second]
          at += 1
        }
      }
    }
    return Matrix(sums, rows: prompts, columns: moments)
  }

  /// The squared Fréchet distance of a sample with these moments about the mean of `reference`.
  ///
  /// - Parameter root: the square root of the reference's covariance
  private static func distance(
    _ moments: [Double], width: Int, to reference: FeatureStatistics, root: Matrix
  ) throws -> Double {
    let count = moments[0]
    let shift = moments[1...width].map { $0 / count }
    var covariance = [Double](repeating: 0, count: width * width)
    var at = 1 + width
    for first in 0..<width {
      for second in first..<width {
        let value = (moments[at] - count * shift[first] * shift[second]) / (count - 1)
        covariance[first * width + second] = value
        covariance[second * width + first] = value
        at += 1
      }
    }
    let sample = Matrix(covariance, rows: width, columns: width)
    // The eigenvalues of Σ₁ Σ₂ are those of the symmetric Σ₂^½ Σ₁ Σ₂^½, which are its singular values.
    let shared = try root.times(sample).times(root).singularValues().reduce(0) { $0 + $1.squareRoot() }
    return shift.reduce(0) { $0 + $1 * $1 } + sample.trace + reference.covariance.trace - 2 * shared
  }
}
