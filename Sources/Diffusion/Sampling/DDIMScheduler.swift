public import Tensors

/// Denoising diffusion implicit models (Song et al., 2021): noises clean samples for training, and samples
/// deterministically (η = 0) in any number of steps.
public struct DDIMScheduler: Sendable {
  public let config: DDIMConfig
  /// ᾱ of each training timestep: the share of the clean sample in the variance of the noised one.
  public let cumulativeAlphas: [Float]

  public init(_ config: DDIMConfig) {
    self.config = config
    // Rounded to float32 where diffusers rounds, so that the schedules agree in every bit but the last.
    var product = 1.0
    cumulativeAlphas = DDIMScheduler.betas(config).map { beta in
      product *= Double(1 - beta)
      return Float(product)
    }
  }

  private static func betas(_ config: DDIMConfig) -> [Float] {
    let isScaled = config.betaSchedule == .scaledLinear
    let first = Float(isScaled ? config.betaStart.squareRoot() : config.betaStart)
    let last = Float(isScaled ? config.betaEnd.squareRoot() : config.betaEnd)
    let count = config.trainTimesteps
    let step = count > 1 ? (last - first) / Float(count - 1) : 0
    return (0..<count).map { index in
      let value = index < count / 2 ? first + step * Float(index) : last - step * Float(count - 1 - index)
      return isScaled ? value * value : value
    }
  }

  /// The timesteps of a run, from the noisiest to the cleanest; 981, 961, ..., 1 for 50 steps of Stable Diffusion.
  ///
  /// - Throws: ``SamplingError`` for a number of steps that the schedule cannot take.
  public func timesteps(_ steps: Int) throws -> [Int] {
    let count = config.trainTimesteps
    guard steps >= 1, steps <= count else {
      throw SamplingError(
        "\(steps) inference steps: a number from 1 to the model's \(count) training steps was expected")
    }
    let timesteps: [Int]
    switch config.spacing {
    case .leading:
      let ratio = count / steps
      timesteps = (0..<steps).reversed().map { $0 * ratio + config.stepsOffset }
    case .linspace:
      let ratio = steps > 1 ? Double(count - 1) / Double(steps - 1) : 0
      timesteps = (0..<steps).reversed().map { Int((Double($0) * ratio).rounded(.toNearestOrEven)) }
    case .trailing:
      let ratio = Double(count) / Double(steps)
      timesteps = (0..<steps).map { Int((Double(count) - Double($0) * ratio).rounded(.toNearestOrEven)) - 1 }
    }
    if let first = timesteps.first, first >= count {
      throw SamplingError(
        "\(steps) inference steps begin at timestep \(first) of \(count), "
          + "because `steps_offset` is \(config.stepsOffset)")
    }
    return timesteps
  }

  /// One step towards the clean sample: x_s from x_t, where s is `timestep` less the run's stride.
  ///
  /// Differentiable with respect to noise and sample.
  ///
  /// - Parameters:
  ///   - noise: the predicted noise ε
  ///   - sample: x_t, of the same shape
  ///   - steps: the number of steps of the run
  public func step(noise: Tensor, sample: Tensor, timestep: Int, steps: Int) -> Tensor {
    let share = cumulativeAlphas[timestep]
    let nextShare = cumulativeAlpha(after: timestep, steps: steps)
    let clean = predictedClean(noise: noise, sample: sample, share: share)
    return clean * nextShare.squareRoot() + noise * (1 - nextShare).squareRoot()
  }

  /// One step away from the clean sample, the inverse of ``step(noise:sample:timestep:steps:)``: from x_s to x_t, where
  /// s is `timestep` less the run's stride, with the noise that the model sees in the cleaner x_s.
  ///
  /// - Parameters:
  ///   - noise: the noise predicted in `sample`
  ///   - sample: x_s
  ///   - timestep: t, the timestep that is reached
  public func inverseStep(noise: Tensor, sample: Tensor, timestep: Int, steps: Int) -> Tensor {
    let clean = predictedClean(noise: noise, sample: sample, share: cumulativeAlpha(after: timestep, steps: steps))
    let share = cumulativeAlphas[timestep]
    return clean * share.squareRoot() + noise * (1 - share).squareRoot()
  }

  /// The clean sample x_0 that `noise` in x_t implies, limited where the schedule says so.
  public func predictedClean(noise: Tensor, sample: Tensor, timestep: Int) -> Tensor {
    predictedClean(noise: noise, sample: sample, share: cumulativeAlphas[timestep])
  }

  private func predictedClean(noise: Tensor, sample: Tensor, share: Float) -> Tensor {
    let clean = (sample - noise * (1 - share).squareRoot()) * (1 / share.squareRoot())
    guard let limit = config.clipRange.map(Float.init) else { return clean }
    return clean.clamped(-limit...limit)
  }

  private func cumulativeAlpha(after timestep: Int, steps: Int) -> Float {
    let next = timestep - config.trainTimesteps / steps
    if next >= 0 { return cumulativeAlphas[next] }
    return config.setAlphaToOne ? 1 : cumulativeAlphas[0]
  }

  /// x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε, with a timestep for each item of the batch.
  public func addNoise(_ clean: Tensor, noise: Tensor, timesteps: [Int]) -> Tensor {
    precondition(timesteps.count == clean.shape[0], "\(timesteps.count) timesteps for a batch of \(clean.shape[0])")
    let shape = [timesteps.count] + Array(repeating: 1, count: clean.rank - 1)
    let signal = Tensor(timesteps.map { cumulativeAlphas[$0].squareRoot() }, shape: shape)
    let spread = Tensor(timesteps.map { (1 - cumulativeAlphas[$0]).squareRoot() }, shape: shape)
    return clean * signal + noise * spread
  }
}
