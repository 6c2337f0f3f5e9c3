public import Tensors

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The noise that a model was trained with: how much of it a sample holds at each training timestep, and what the model
/// predicts of it. Training and inversion depend on this alone, and every scheduler samples it.
public struct NoiseSchedule: Sendable {
  public let trainTimesteps: Int
  public let predictionType: PredictionType
  /// ᾱ of each training timestep: the share of the clean sample in the variance of the noised one.
  public let cumulativeAlphas: [Float]

  public init(_ config: SchedulerConfig) {
    trainTimesteps = config.trainTimesteps
    predictionType = config.predictionType
    let betas = NoiseSchedule.betas(config)
    cumulativeAlphas = NoiseSchedule.cumulativeAlphas(
      config.hasZeroTerminalSNR ? NoiseSchedule.rescaled(betas) : betas)
  }

  private static func cumulativeAlphas(_ betas: [Float]) -> [Float] {
    // Rounded to float32 where diffusers rounds, so that the schedules agree in every bit but the last.
    var product = 1.0
    return betas.map { beta in
      product *= Double(1 - beta)
      return Float(product)
    }
  }

  private static func betas(_ config: SchedulerConfig) -> [Float] {
    let count = config.trainTimesteps
    if config.betaSchedule == .squaredCosine {
      func share(_ index: Int) -> Double {
        let cosine = cos((Double(index) / Double(count) + 0.008) / 1.008 * .pi / 2)
        return cosine * cosine
      }
      return (0..<count).map { Float(min(1 - share($0 + 1) / share($0), 0.999)) }
    }
    let isScaled = config.betaSchedule == .scaledLinear
    let first = Float(isScaled ? config.betaStart.squareRoot() : config.betaStart)
    let last = Float(isScaled ? config.betaEnd.squareRoot() : config.betaEnd)
    let step = count > 1 ? (last - first) / Float(count - 1) : 0
    return (0..<count).map { index in
      let value = index < count / 2 ? first + step * Float(index) : last - step * Float(count - 1 - index)
      return isScaled ? value * value : value
    }
  }

  /// √ᾱ shifted and scaled so that the last is zero and the first stays.
  private static func rescaled(_ betas: [Float]) -> [Float] {
    let roots = cumulativeAlphas(betas).map { $0.squareRoot() }
    guard let first = roots.first, let last = roots.last, first > last else { return betas }
    let shares = roots.map { root in
      let scaled = (root - last) * (first / (first - last))
      return scaled * scaled
    }
    return shares.indices.map { 1 - ($0 == 0 ? shares[0] : shares[$0] / shares[$0 - 1]) }
  }

  /// ᾱ with the smallest half-precision number for noise alone, as diffusers has it, which would be infinitely noisy.
  var positiveAlphas: [Float] { cumulativeAlphas.map { $0 == 0 ? 0x1p-24 : $0 } }

  /// x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε, with a timestep for each item of the batch.
  public func addNoise(_ clean: Tensor, noise: Tensor, timesteps: [Int]) -> Tensor {
    precondition(timesteps.count == clean.shape[0], "\(timesteps.count) timesteps for a batch of \(clean.shape[0])")
    let shape = [timesteps.count] + Array(repeating: 1, count: clean.rank - 1)
    let signal = Tensor(timesteps.map { cumulativeAlphas[$0].squareRoot() }, shape: shape)
    let spread = Tensor(timesteps.map { (1 - cumulativeAlphas[$0]).squareRoot() }, shape: shape)
    return clean * signal + noise * spread
  }

  /// The noise ε that a model's output implies: what losses over predicted noise compare, whatever the model predicts.
  ///
  /// Differentiable with respect to both.
  ///
  /// - Parameters:
  ///   - output: what the model predicted in `sample`
  ///   - sample: x_t, of the same shape, or a batch of one where all were asked about the same
  ///   - timestep: t, the same for the whole batch
  public func noise(predicted output: Tensor, in sample: Tensor, timestep: Int) -> Tensor {
    noise(output, sample, share: cumulativeAlphas[timestep])
  }

  func noise(_ output: Tensor, _ sample: Tensor, share: Float) -> Tensor {
    let (signal, spread) = (share.squareRoot(), (1 - share).squareRoot())
    switch predictionType {
    case .epsilon: return output
    case .velocity: return output * signal + sample * spread
    case .sample: return (sample - output * signal) * (1 / spread)
    }
  }

  /// The clean sample x_0 that a model's output implies.
  func clean(_ output: Tensor, _ sample: Tensor, share: Float) -> Tensor {
    let (signal, spread) = (share.squareRoot(), (1 - share).squareRoot())
    switch predictionType {
    case .epsilon: return (sample - output * spread) * (1 / signal)
    case .velocity: return sample * signal - output * spread
    case .sample: return output
    }
  }
}
