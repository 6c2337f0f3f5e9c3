public import Tensors

/// Trains a ``SparseAutoencoder`` on vectors: the recipe of SAEuron (arXiv 2501.18052), which is that of Gao et al.
/// (2024) with BatchTopK in place of TopK.
///
/// The loss is the share of the variance that is left unexplained, and AuxK: latents that have not fired for long are
/// asked to explain what the others leave. The decoder's rows have norm 1 at every step. The loss is computed from rows
/// that are normalised once more, which changes no value but takes from the gradient its component along the row.
public struct SparseAutoencoderTraining: Sendable {
  public var settings: SparseAutoencoderSettings
  public var seed: UInt64

  public init(_ settings: SparseAutoencoderSettings, seed: UInt64) {
    self.settings = settings
    self.seed = seed
  }

  /// - Parameters:
  ///   - vectors: (vectors, width); its last vectors of an epoch's random order that fill no batch wait for the next
  ///   - context: says where the state is kept on the way, and is told of every step
  /// - Returns: the autoencoder, and the losses in a hundred pieces at most
  /// - Throws: ``ErasureError`` where there are fewer vectors than a batch has.
  public func train(
    _ vectors: Tensor, _ context: EditContext
  ) throws -> (autoencoder: SparseAutoencoder, losses: [Double]) {
    let (count, width, batchSize) = (vectors.shape[0], vectors.shape[1], settings.effectiveBatchSize)
    guard count >= batchSize else {
      throw ErasureError(
        "a batch of \(batchSize) vectors cannot be taken from \(count): fewer a batch, or more training prompts")
    }
    let stepsOfEpoch = count / batchSize
    var training = FineTuning(
      steps: settings.numEpochs * stepsOfEpoch, learningRate: settings.learningRate,
      optimizer: .init(epsilon: 6.25e-10), maximumNorm: 1)
    training.schedule = .linearDecay
    var order: (epoch: Int, vectors: [Int]) = (-1, [])
    let fired = Fired()
    let result = try training.run(
      context, start: start(vectors, width: width),
      prepare: { step, tensors -> Batch in
        let epoch = step / stepsOfEpoch
        if order.epoch != epoch { order = (epoch, shuffled(count, epoch: epoch)) }
        let first = step % stepsOfEpoch * batchSize
        let rows = embedding(vectors, Array(order.vectors[first..<first + batchSize]))
        return Batch(rows, isDead: tensors[Self.ageKey]?.values.map { Int($0) > settings.deadFeatureThreshold } ?? [])
      },
      project: { tensors in
        tensors["W_dec"]?.normalizeRows()
        tensors[Self.ageKey]?.age(by: batchSize, except: fired.latents)
      }
    ) { _, _, batch, tensors in
      try loss(batch, tensors, fired)
    }
    let autoencoder = try SparseAutoencoder(
      layer: settings.layer, k: settings.k, tensors: result.tensors, source: "the training")
    return (autoencoder, result.losses)
  }

  /// How many vectors have passed since a latent fired. It is kept among the trained tensors, although no gradient
  /// reaches it, so that a training that goes on after an interruption still knows.
  private static let ageKey = "vectors_since_fired"

  /// The latents of the step in work, from its loss to the end of the step.
  private final class Fired {
    var latents: [Bool] = []
  }

  private struct Batch {
    /// (pieces, vectors, width): a fixed cut that the threads share.
    let x: Tensor
    /// Σ ‖x - mean‖² over the batch.
    let variance: Float
    let isDead: [Bool]

    init(_ rows: Tensor, isDead: [Bool]) {
      let pieces = rows.shape[0] % 8 == 0 ? 8 : 1
      x = rows.reshaped([pieces, rows.shape[0] / pieces, rows.shape[1]])
      variance = Float((rows - rows.mean(axis: 0)).sumOfSquares)
      self.isDead = isDead
    }
  }

  private func shuffled(_ count: Int, epoch: Int) -> [Int] {
    RandomStream(seed: seed, "autoencoder", "order").item(epoch).permutation(count)
  }

  private func start(_ vectors: Tensor, width: Int) -> [String: Tensor] {
    let latents = settings.expansionFactor * width
    let bound = 1 / Float(width).squareRoot()
    let encoder = Tensor(
      RandomStream(seed: seed, "autoencoder", "encoder").uniform(latents * width).map { ($0 * 2 - 1) * bound },
      shape: [latents, width])
    let decoder = encoder.copied()
    decoder.normalizeRows()
    let first = embedding(vectors, Array(shuffled(vectors.shape[0], epoch: 0).prefix(settings.effectiveBatchSize)))
    return [
      "encoder.weight": encoder, "encoder.bias": Tensor.zeros([latents]), "W_dec": decoder,
      "b_dec": geometricMedian(first), Self.ageKey: Tensor.zeros([latents]),
    ]
  }

  private func loss(_ batch: Batch, _ tensors: [String: Tensor], _ fired: Fired) throws -> Tensor {
    guard let encoder = tensors["encoder.weight"], let encoderBias = tensors["encoder.bias"],
      let rows = tensors["W_dec"], let decoderBias = tensors["b_dec"]
    else { throw ErasureError("the state of the training is not that of an autoencoder") }
    let norms = rows.square().sum(axis: 1, keepsAxis: true).squareRoot()
    let decoder = (rows / norms).transposedLast()
    let activations = linear(batch.x - decoderBias, weight: encoder, bias: encoderBias).relu()
    let kept = SparseAutoencoder.batchTopKMask(activations.detached, k: settings.k)
    fired.latents = kept.columnsInUse
    let error = linear(activations * kept, weight: decoder, bias: decoderBias) - batch.x
    let unexplained = error.square().sum() * (1 / batch.variance)
    let deadCount = batch.isDead.reduce(0) { $0 + ($1 ? 1 : 0) }
    guard settings.auxkAlpha > 0, deadCount > 0 else { return unexplained }

    // The residual has the sign of the published script, x̂ - x.
    let auxiliaryCount = max(1, batch.x.extent(-1) / 2)
    let dead = Tensor(batch.isDead.map { $0 ? 1 : 0 }, shape: [batch.isDead.count])
    let asleep = activations * dead
    let chosen = SparseAutoencoder.topKMask(asleep.detached, k: min(auxiliaryCount, deadCount))
    let missed = (linear(asleep * chosen, weight: decoder) - error.detached).square().sum() * (1 / batch.variance)
    let scale = settings.auxkAlpha * min(Double(deadCount) / Double(auxiliaryCount), 1)
    return unexplained + missed * Float(scale)
  }
}

/// The point whose distances to the rows of a matrix have the smallest sum, by the algorithm of Weiszfeld (1937), which
/// ends when a round moves it by less than a millionth of its norm, or after a hundred rounds.
///
/// - Parameter rows: (rows, width)
/// - Returns: (width)
public func geometricMedian(_ rows: Tensor) -> Tensor {
  let (count, width) = (rows.shape[0], rows.shape[1])
  var median = Matrix(rows).columnMeans
  rows.withUnsafeValues { values in
    for _ in 0..<100 {
      var (sums, total) = ([Double](repeating: 0, count: width), 0.0)
      for row in 0..<count {
        let distance = (0..<width).reduce(0.0) { sum, column in
          let difference = Double(values[row * width + column]) - median[column]
          return sum + difference * difference
        }
        // A row at the median itself would have an infinite weight.
        let weight = 1 / max(distance.squareRoot(), 1e-12)
        for column in 0..<width { sums[column] += weight * Double(values[row * width + column]) }
        total += weight
      }
      let next = sums.map { $0 / total }
      let moved = zip(next, median).reduce(0.0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      let norm = next.reduce(0.0) { $0 + $1 * $1 }
      median = next
      if moved <= 1e-12 * norm { break }
    }
  }
  return Tensor(median.map(Float.init), shape: [width])
}

extension Tensor {
  /// Scales each row of a matrix to norm 1, in place: for tensors that only their owner sees.
  fileprivate func normalizeRows() {
    let width = shape[1]
    changeInPlace { values in
      for start in stride(from: 0, to: values.count, by: width) {
        let norm = values[start..<start + width].reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        guard norm > 0 else { continue }
        for index in start..<start + width { values[index] = Float(Double(values[index]) / norm) }
      }
    }
  }

  /// Adds to the ages of latents, in place, and begins anew with those that fired.
  fileprivate func age(by count: Int, except fired: [Bool]) {
    changeInPlace { ages in
      for index in ages.indices { ages[index] = fired[index] ? 0 : ages[index] + Float(count) }
    }
  }

  /// Whether any row of the last two axes has a value above zero, for each column.
  var columnsInUse: [Bool] {
    let width = extent(-1)
    var inUse = [Bool](repeating: false, count: width)
    withUnsafeValues { values in
      for start in stride(from: 0, to: values.count, by: width) {
        for column in 0..<width where values[start + column] > 0 { inUse[column] = true }
      }
    }
    return inUse
  }

  private func changeInPlace(_ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
    withUnsafeValues { body(UnsafeMutableBufferPointer(mutating: $0)) }
  }
}
