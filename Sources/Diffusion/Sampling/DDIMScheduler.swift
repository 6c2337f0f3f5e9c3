public import Tensors

/// Denoising diffusion implicit models (Song et al., 2021): samples deterministically in any number of steps, or with
/// noise (η above 0), and back.
public struct DDIMScheduler: Sendable {
  public let schedule: NoiseSchedule
  private let config: SchedulerConfig

  /// - Parameter config: its own scheduler may be another one
  public init(_ config: SchedulerConfig) {
    var config = config
    config.scheduler = .ddim
    self.config = config
    schedule = NoiseSchedule(config)
  }

  /// The timesteps of a run, from the noisiest to the cleanest; 981, 961, ..., 1 for 50 steps of Stable Diffusion.
  ///
  /// - Throws: ``SamplingError`` for a number of steps that the schedule cannot take.
  public func timesteps(_ steps: Int) throws -> [Int] { try config.spacedTimesteps(steps) }

  /// One step towards the clean sample: x_s from x_t, where s is `timestep` less the run's stride.
  ///
  /// Differentiable with respect to output and sample.
  ///
  /// - Parameters:
  ///   - output: what the model predicted
  ///   - sample: x_t, of the same shape
  ///   - steps: the number of steps of the run
  ///   - eta: η of equation 16, from 0 to 1
  ///   - noise: standard normal, of the same shape; asked for where η is above 0
  public func step(
    _ output: Tensor, sample: Tensor, timestep: Int, steps: Int, eta: Float = 0, noise: () -> Tensor? = { nil }
  ) -> Tensor {
    let share = schedule.cumulativeAlphas[timestep]
    let nextShare = cumulativeAlpha(after: timestep, steps: steps)
    let clean = predictedClean(output, sample: sample, share: share)
    let predicted = schedule.noise(output, sample, share: share)
    let deviation = eta > 0 ? eta * ((1 - nextShare) / (1 - share) * (1 - share / nextShare)).squareRoot() : 0
    let next =
      clean * nextShare.squareRoot() + predicted * (1 - nextShare - deviation * deviation).squareRoot()
    guard eta > 0, let noise = noise() else { return next }
    return next + noise * deviation
  }

  /// One step away from the clean sample, the inverse of a step without noise: from x_s to x_t, where s is `timestep`
  /// less the run's stride, with what the model predicts in the cleaner x_s.
  ///
  /// - Parameters:
  ///   - output: what the model predicted in `sample`
  ///   - sample: x_s
  ///   - timestep: t, the timestep that is reached
  public func inverseStep(_ output: Tensor, sample: Tensor, timestep: Int, steps: Int) -> Tensor {
    let start = cumulativeAlpha(after: timestep, steps: steps)
    let clean = predictedClean(output, sample: sample, share: start)
    let share = schedule.cumulativeAlphas[timestep]
    return clean * share.squareRoot() + schedule.noise(output, sample, share: start) * (1 - share).squareRoot()
  }

  /// The clean sample x_0 that the model's output in x_t implies, limited where the configuration says so.
  public func predictedClean(_ output: Tensor, sample: Tensor, timestep: Int) -> Tensor {
    predictedClean(output, sample: sample, share: schedule.cumulativeAlphas[timestep])
  }

  private func predictedClean(_ output: Tensor, sample: Tensor, share: Float) -> Tensor {
    config.clipped(schedule.clean(output, sample, share: share))
  }

  private func cumulativeAlpha(after timestep: Int, steps: Int) -> Float {
    let next = timestep - schedule.trainTimesteps / steps
    if next >= 0 { return schedule.cumulativeAlphas[next] }
    return config.endsWithoutNoise ? 1 : schedule.cumulativeAlphas[0]
  }
}

extension SchedulerConfig {
  /// A predicted clean sample within ``clipRange``.
  func clipped(_ clean: Tensor) -> Tensor {
    guard let limit = clipRange.map(Float.init) else { return clean }
    return clean.clamped(-limit...limit)
  }
}

/// A run of ``DDIMScheduler``.
struct DDIMSolver: Solver {
  private let scheduler: DDIMScheduler
  private let steps: [Int]
  private let eta: Float

  init(_ scheduler: DDIMScheduler, steps: Int, eta: Float) throws {
    self.scheduler = scheduler
    self.steps = try scheduler.timesteps(steps)
    self.eta = eta
  }

  var timesteps: [Float] { steps.map(Float.init) }
  var addsNoise: Bool { eta > 0 }

  func step(_ output: Tensor, _ sample: Tensor, step: Int, noise: () -> Tensor) -> Tensor {
    scheduler.step(output, sample: sample, timestep: steps[step], steps: steps.count, eta: eta, noise: noise)
  }
}
