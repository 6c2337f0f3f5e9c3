internal import Tensors

/// Denoising diffusion probabilistic models (Ho et al., 2020, algorithm 2), over the timesteps of a run: the mean of
/// the posterior of the next sample, and noise of its variance.
struct DDPMSolver: Solver {
  private let config: SchedulerConfig
  private let schedule: NoiseSchedule
  private let steps: [Int]

  init(_ config: SchedulerConfig, steps: Int) throws {
    self.config = config
    schedule = NoiseSchedule(config)
    self.steps = try config.spacedTimesteps(steps)
  }

  var timesteps: [Float] { steps.map(Float.init) }
  var addsNoise: Bool { true }

  func step(_ output: Tensor, _ sample: Tensor, step: Int, noise: () -> Tensor) -> Tensor {
    let share = schedule.cumulativeAlphas[steps[step]]
    let nextShare = step + 1 < steps.count ? schedule.cumulativeAlphas[steps[step + 1]] : 1
    let alpha = share / nextShare
    let beta = 1 - alpha
    let clean = config.clipped(schedule.clean(output, sample, share: share))
    let mean =
      clean * (nextShare.squareRoot() * beta / (1 - share))
      + sample * (alpha.squareRoot() * (1 - nextShare) / (1 - share))
    guard steps[step] > 0 else { return mean }
    let posterior = max((1 - nextShare) / (1 - share) * beta, 1e-20)
    return mean + noise() * (config.posteriorVariance == .large ? beta : posterior).squareRoot()
  }
}
