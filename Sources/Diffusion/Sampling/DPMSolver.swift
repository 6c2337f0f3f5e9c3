internal import Tensors

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// DPM-Solver++ 2M (Lu et al., 2022, arXiv 2211.01095, algorithm 2): the predicted clean sample as a linear function of
/// the half log signal-to-noise ratio λ, from the last two predictions, integrated exactly.
struct DPMSolver: Solver {
  let timesteps: [Float]
  private let config: SchedulerConfig
  /// Of the steps, and the one that the last of them ends at.
  private let sigmas: [Float]
  /// The clean sample predicted at the step before.
  private var last: Tensor?

  init(_ config: SchedulerConfig, steps: Int) throws {
    let schedule = NoiseSchedule(config)
    let levels = NoiseLevels(schedule)
    self.config = config
    var times = try Self.timesteps(config, schedule, steps)
    var sigmas = times.map { levels.sigma(at: Double($0)) }
    if config.usesKarrasSigmas {
      sigmas = NoiseLevels.karras(from: levels.largest, to: levels.smallest, count: steps)
      times = sigmas.map { sigma in
        let time = levels.timestep(of: sigma)
        return Int(config.betaSchedule == .squaredCosine ? time : time.rounded(.toNearestOrEven))
      }
    }
    timesteps = times.map(Float.init)
    self.sigmas = (sigmas + [config.finalSigma == .zero ? 0 : levels.smallest]).map(Float.init)
  }

  /// One more part than steps, of which the cleanest is left out.
  private static func timesteps(
    _ config: SchedulerConfig, _ schedule: NoiseSchedule, _ steps: Int
  ) throws -> [Int] {
    let tooNoisy = schedule.positiveAlphas.count { share in
      0.5 * log(Double(share) / (1 - Double(share))) < config.smallestLogSNR
    }
    let end = config.trainTimesteps - tooNoisy
    guard end > steps else {
      throw SamplingError("\(steps) inference steps: the scheduler dpm_solver++ takes at most \(end - 1) here")
    }
    switch config.effectiveSpacing {
    case .linspace:
      let ratio = Double(end - 1) / Double(steps)
      return (1...steps).reversed().map { Int((Double($0) * ratio).rounded(.toNearestOrEven)) }
    case .leading:
      let ratio = end / (steps + 1)
      return try config.checked((1...steps).reversed().map { $0 * ratio + config.stepsOffset }, steps)
    case .trailing: return config.trailingTimesteps(steps, from: end)
    }
  }

  mutating func step(_ output: Tensor, _ sample: Tensor, step: Int, noise: () -> Tensor) -> Tensor {
    let (now, next) = (Level(sigmas[step]), Level(sigmas[step + 1]))
    let clean = predictedClean(output, sample, now)
    defer { last = clean }
    let h = next.logSNR - now.logSNR
    let weight = -next.signal * (exp(-h) - 1)
    var direction = clean
    if let last, config.solverOrder == 2, !(step == timesteps.count - 1 && lowersLastStep) {
      let ratio = (now.logSNR - Level(sigmas[step - 1]).logSNR) / h
      direction = clean + (clean - last) * Float(0.5 / ratio)
    }
    return sample * Float(next.noise / now.noise) + direction * Float(weight)
  }

  private var lowersLastStep: Bool {
    config.endsWithEuler || (config.lowersFinalOrder && timesteps.count < 15) || config.finalSigma == .zero
  }

  private func predictedClean(_ output: Tensor, _ sample: Tensor, _ level: Level) -> Tensor {
    let (signal, noise) = (Float(level.signal), Float(level.noise))
    switch config.predictionType {
    case .epsilon: return (sample - output * noise) * (1 / signal)
    case .velocity: return sample * signal - output * noise
    case .sample: return output
    }
  }

  /// A noise level σ as shares of a sample of variance 1.
  private struct Level {
    let signal, noise, logSNR: Double

    init(_ sigma: Float) {
      let sigma = Double(sigma)
      signal = 1 / (sigma * sigma + 1).squareRoot()
      noise = sigma * signal
      logSNR = log(signal) - log(noise)
    }
  }
}
