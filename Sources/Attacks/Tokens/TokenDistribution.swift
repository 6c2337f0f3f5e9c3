public import Tensors

/// A probability for each candidate token at each position of an attack: the variable u of UnlearnDiffAtk (arXiv
/// 2310.11868).
///
/// The forward pass draws one token a position; the backward pass takes the gradient with respect to its one-hot vector
/// for that of the probabilities, with each element limited to -1 ... 1. After a step of Adam, whose weight decay is a
/// part of the gradient, every row is projected back onto the simplex.
public struct TokenDistribution {
  private let optimizer: AdamOptimizer
  private let learningRate: Float

  /// - Parameter start: (positions, candidates) of any values; it is projected
  public init(_ start: Tensor, learningRate: Double, weightDecay: Double) {
    optimizer = AdamOptimizer(
      [("probabilities", start)],
      AdamOptimizer.Settings(weightDecay: Float(weightDecay), decouplesWeightDecay: false))
    self.learningRate = Float(learningRate)
    projectRows()
  }

  /// (positions, candidates), each row not negative and with the sum 1. The next step changes them.
  public var probabilities: Tensor { optimizer.parameters[0].tensor }

  /// One candidate a position, drawn with its probability.
  public func sample(_ stream: RandomStream) -> [Int] {
    let (rows, columns) = (probabilities.shape[0], probabilities.shape[1])
    let draws = stream.uniformDoubles(rows)
    return probabilities.withUnsafeValues { values in
      (0..<rows).map { row in
        let row = values[row * columns..<(row + 1) * columns]
        // Their sum is 1 but for rounding.
        var left = draws[row.startIndex / columns] * row.reduce(0.0) { $0 + Double($1) }
        var drawn = row.startIndex
        for index in row.indices where row[index] > 0 {
          drawn = index
          left -= Double(row[index])
          if left < 0 { break }
        }
        return drawn - row.startIndex
      }
    }
  }

  /// The likeliest candidate of each position, the lowest where several are equal.
  public var mostProbable: [Int] { probabilities.argmaxLastAxis() }

  /// A step against the gradient with respect to the one-hot vectors of the tokens that were drawn.
  public func step(_ oneHotGradient: Tensor) {
    optimizer.step([straightThroughGradient(oneHotGradient)], learningRate: learningRate)
    projectRows()
  }

  private func projectRows() {
    let columns = probabilities.shape[1]
    optimizer.project { values in
      for start in stride(from: 0, to: values.count, by: columns) {
        projectOntoSimplex(UnsafeMutableBufferPointer(rebasing: values[start..<start + columns]))
      }
    }
  }
}

/// The gradient of the probabilities behind a token that was drawn: that of its one-hot vector, each element limited to
/// -1 ... 1.
public func straightThroughGradient(_ oneHotGradient: Tensor) -> Tensor { oneHotGradient.detached.clamped(-1...1) }

/// Replaces values by clip(a - µ, 0, 1) with the µ for which they have the sum 1, to 1e-5 (UnlearnDiffAtk).
/// µ is found by bisection between min(a) - 1, where the sum is at least 1, and max(a), where it is 0.
public func projectOntoSimplex(_ values: UnsafeMutableBufferPointer<Float>) {
  guard var high = values.max(), var low = values.min().map({ $0 - 1 }) else { return }
  var shift: Float = 0
  // The sum of many small values asks for a finer µ than 1e-5; there is none between two neighbouring numbers.
  while true {
    let sum = clippedSum(values, shift)
    if abs(sum - 1) <= 1e-5 { break }
    if sum > 1 { low = shift } else { high = shift }
    let middle = low + (high - low) / 2
    if middle == shift || middle <= low || middle >= high { break }
    shift = middle
  }
  for index in values.indices { values[index] = min(max(values[index] - shift, 0), 1) }
}

/// Σ clip(a - shift, 0, 1), summed in lanes of float64 that no processor changes.
private func clippedSum(_ values: UnsafeMutableBufferPointer<Float>, _ shift: Float) -> Double {
  var lanes = (0.0, 0.0, 0.0, 0.0)
  var index = 0
  func clipped(_ at: Int) -> Double { Double(min(max(values[at] - shift, 0), 1)) }
  while index + 4 <= values.count {
    lanes.0 += clipped(index)
    lanes.1 += clipped(index + 1)
    lanes.2 += clipped(index + 2)
    lanes.3 += clipped(index + 3)
    index += 4
  }
  while index < values.count {
    lanes.0 += clipped(index)
    index += 1
  }
  return lanes.0 + lanes.1 + (lanes.2 + lanes.3)
}
