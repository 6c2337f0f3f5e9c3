public import Configuration
public import Diffusion
public import Tensors

/// The mean of each latent of an autoencoder over pictures and positions, step by step: μ_i(t, D) of SAeUron (arXiv
/// 2501.18052, section 4).
public struct FeatureStatistics: Sendable {
  public var activations: LayerActivations

  public init(_ activations: LayerActivations) { self.activations = activations }

  /// - Returns: (steps, latents)
  /// - Throws: ``ErasureError`` for an autoencoder of another layer or width.
  public func means(_ model: DiffusionModel, _ autoencoder: SparseAutoencoder, monitor: WorkMonitor) throws -> Tensor {
    try autoencoder.check(fits: activations.layer, of: model)
    let steps = try Sampler(model, activations.sampler).timesteps.count
    var sum = Tensor.zeros([steps, autoencoder.latents])
    try activations.collect(model, monitor: monitor) { maps in
      let means = try parallelMap(maps.count) { autoencoder.encode(maps[$0]).mean(axis: 1) }
      sum = sum + concatenate(means, axis: 0)
    }
    return sum * (1 / Float(activations.pictureCount))
  }
}

/// How many of the best features are taken.
public enum FeatureCount: Equatable, Sendable {
  /// Those that score above this percentile of all latents.
  case percentile(Double)
  /// The best ones, and fewer where fewer score above zero.
  case best(Int)

  /// The latents that are taken, in ascending order.
  public func select(_ scores: [Float]) -> [Int] {
    switch self {
    case .percentile(let percentile):
      let bound = quantile(scores, percentile / 100)
      return scores.indices.filter { scores[$0] > bound }
    case .best(let count):
      return scores.withUnsafeBufferPointer { positionsOfLargest(count, in: $0) }
    }
  }
}

/// The features of a concept, and what becomes of them while a model draws (SAeUron, arXiv 2501.18052, section 4): a
/// feature i of step t whose activation z_i is above its mean over concepts is replaced with z_i · γ μ_i(t, D_c).
public struct FeatureSuppression {
  /// γ μ_i(t, D_c) - 1 for the features of a step and 0 for every other latent: (steps, latents).
  public let change: Tensor
  /// The means above which a feature is suppressed: (steps, latents).
  public let threshold: Tensor

  public init(change: Tensor, threshold: Tensor) {
    precondition(change.shape == threshold.shape && change.rank == 2, "\(change.shape) and \(threshold.shape)")
    (self.change, self.threshold) = (change, threshold)
  }

  /// Features told from those of other concepts, for each step anew, by the score
  /// μ_i(t, D_c) / Σ_j μ_j(t, D_c) - μ_i(t, D) / Σ_j μ_j(t, D).
  ///
  /// - Parameters:
  ///   - concept, others: means (steps, latents)
  ///   - conceptShare: the share of the concept's prompts among all; the mean over concepts weighs by prompts
  public init(
    concept: Tensor, others: Tensor, conceptShare: Double, count: FeatureCount, multiplier: Double
  ) {
    let scores = Self.contrast(concept, others)
    let latents = concept.shape[1]
    var chosen: [[Int]] = []
    for step in 0..<concept.shape[0] {
      chosen.append(count.select(Array(scores[step * latents..<(step + 1) * latents])))
    }
    self.init(
      change: Self.change(chosen, concept, multiplier),
      threshold: concept * Float(conceptShare) + others * Float(1 - conceptShare))
  }

  /// The features of the largest means at one step of the concept's own pictures, with their means there, for all
  /// steps: for a concept that nothing is there to be told from (seed document 004).
  ///
  /// - Parameter step: 0 is the noisiest
  public init(concept: Tensor, step: Int, count: FeatureCount, multiplier: Double) {
    let steps = concept.shape[0]
    let means = concept.slice(axis: 0, step..<step + 1)
    let repeated = concatenate(Array(repeating: means, count: steps), axis: 0)
    let chosen = Array(repeating: count.select(means.values), count: steps)
    self.init(change: Self.change(chosen, repeated, multiplier), threshold: repeated)
  }

  /// The features of each step, in ascending order.
  public var features: [[Int]] {
    let (values, latents) = (change.values, change.shape[1])
    return (0..<change.shape[0]).map { step in (0..<latents).filter { values[step * latents + $0] != 0 } }
  }

  private static func contrast(_ concept: Tensor, _ others: Tensor) -> [Float] {
    func shares(_ means: Tensor) -> Tensor { means / (means.sum(axis: 1, keepsAxis: true) + 1e-8) }
    return (shares(concept) - shares(others)).values
  }

  private static func change(_ chosen: [[Int]], _ concept: Tensor, _ multiplier: Double) -> Tensor {
    let latents = concept.shape[1]
    var values = [Float](repeating: 0, count: concept.count)
    let means = concept.values
    for (step, features) in chosen.enumerated() {
      for feature in features {
        values[step * latents + feature] = Float(multiplier) * means[step * latents + feature] - 1
      }
    }
    return Tensor(values, shape: concept.shape)
  }
}

/// Which of the two passes of guidance an intervention changes.
public enum GuidanceHalves: String, CaseIterable, ConfigurationValue {
  /// That of the prompt alone.
  case conditional = "cond"
  case both
}

/// Suppresses features at a step, in the output x of the autoencoder's layer.
///
/// What the autoencoder does not explain of x stays as it is: the output is x + W_decᵀ (z' - z). Everything is
/// differentiable with respect to x, but for the choice of latents.
struct StepSuppression {
  let autoencoder: SparseAutoencoder
  let features: [Int]
  /// Of the features: encoder rows, biases, and columns of the decoder (width, features).
  private let encoder, bias, decoder: Tensor
  private let change, threshold: [Float]
  /// Whether to return x̂' + (x̂ - x), as the published script does, with the residual's sign turned.
  private let turnsResidual: Bool

  init(_ autoencoder: SparseAutoencoder, _ suppression: FeatureSuppression, step: Int, turnsResidual: Bool) {
    self.autoencoder = autoencoder
    self.turnsResidual = turnsResidual
    let latents = autoencoder.latents
    func row(_ table: Tensor) -> [Float] { table.slice(axis: 0, step..<step + 1).values }
    let (changes, thresholds) = (row(suppression.change), row(suppression.threshold))
    features = (0..<latents).filter { changes[$0] != 0 }
    (change, threshold) = (features.map { changes[$0] }, features.map { thresholds[$0] })
    encoder = embedding(autoencoder.encoder, features)
    bias = embedding(autoencoder.encoderBias.reshaped([latents, 1]), features).reshaped([features.count])
    decoder = embedding(autoencoder.decoder, features).transposedLast()
  }

  /// - Parameter map: (items, channels, height, width)
  func callAsFunction(_ map: Tensor) -> Tensor {
    if features.isEmpty && !turnsResidual { return map }
    let x = map.positionsFirst
    let activations = autoencoder.activations(x.detached)
    let kept = SparseAutoencoder.topKMask(activations, k: autoencoder.k)
    let own = linear(x - autoencoder.decoderBias, weight: encoder, bias: bias).relu()
    let difference = linear(own * changes(activations, kept), weight: decoder)
    guard turnsResidual else { return map + difference.channelsFirst(map.shape) }
    let decoded = autoencoder.decode(autoencoder.activations(x) * kept)
    return (decoded * 2 - x + difference).channelsFirst(map.shape)
  }

  /// z'_i / z_i - 1 for each vector and feature: 0 where the feature is not among the k largest or not above its mean.
  private func changes(_ activations: Tensor, _ kept: Tensor) -> Tensor {
    let (latents, count) = (autoencoder.latents, features.count)
    return Tensor.make(activations.shape.dropLast() + [count]) { out in
      activations.withUnsafeValues { activations in
        kept.withUnsafeValues { kept in
          for index in out.indices {
            let (vector, feature) = (index / count, index % count)
            let latent = vector * latents + features[feature]
            let isSuppressed = kept[latent] > 0 && activations[latent] > threshold[feature]
            out[index] = isSuppressed ? change[feature] : 0
          }
        }
      }
    }
  }
}

extension FeatureSuppression {
  /// The hooks that suppress features while a model draws with guidance in the steps of the statistics; in any other
  /// number of steps it is not drawn.
  ///
  /// - Parameter turnsResidual: returns x̂' + (x̂ - x), as the published script does, and not x + (x̂' - x̂)
  public func intervention(
    _ autoencoder: SparseAutoencoder, halves: GuidanceHalves, turnsResidual: Bool = false
  ) -> SamplingIntervention {
    let steps = (0..<change.shape[0]).map {
      StepSuppression(autoencoder, self, step: $0, turnsResidual: turnsResidual)
    }
    let hooks = { (step: Int) -> UNetHooks in
      var hooks = UNetHooks()
      hooks.transformerOutput = { name, output in
        guard name == autoencoder.layer else { return output }
        guard halves == .conditional else { return steps[step](output) }
        let (half, all) = (output.shape[0] / 2, output.shape[0])
        let unconditional = output.slice(axis: 0, 0..<half)
        return concatenate([unconditional, steps[step](output.slice(axis: 0, half..<all))], axis: 0)
      }
      return hooks
    }
    return SamplingIntervention(hooks: hooks, steps: steps.count)
  }
}
