#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The noise levels σ = √((1 - ᾱ) / ᾱ) of the training timesteps, and of times between them.
struct NoiseLevels {
  /// Of each training timestep, ascending.
  private let sigmas: [Double]
  private let logarithms: [Double]

  init(_ schedule: NoiseSchedule) {
    sigmas = schedule.positiveAlphas.map { Double(((1 - $0) / $0).squareRoot()) }
    logarithms = sigmas.map { Double(log(Float($0))) }
  }

  var smallest: Double { sigmas[0] }
  var largest: Double { sigmas[sigmas.count - 1] }

  /// Linear between timesteps.
  func sigma(at timestep: Double) -> Double {
    let index = min(max(Int(timestep), 0), sigmas.count - 1)
    guard index + 1 < sigmas.count, timestep > Double(index) else { return sigmas[index] }
    return (sigmas[index + 1] - sigmas[index]) * (timestep - Double(index)) + sigmas[index]
  }

  /// The time of a noise level, linear between the logarithms of those of timesteps.
  func timestep(of sigma: Double) -> Double {
    guard logarithms.count > 1 else { return 0 }
    let logarithm = log(max(sigma, 1e-10))
    let low = min(max((logarithms.firstIndex { $0 > logarithm } ?? logarithms.count) - 1, 0), logarithms.count - 2)
    let part = (logarithms[low] - logarithm) / (logarithms[low] - logarithms[low + 1])
    return Double(low) + min(max(part, 0), 1)
  }

  /// From the largest to the smallest level, evenly in σ^(1/7) (Karras et al., 2022, equation 5).
  static func karras(from largest: Double, to smallest: Double, count: Int) -> [Double] {
    let (first, last) = (pow(largest, 1 / 7), pow(smallest, 1 / 7))
    return (0..<count).map { index in
      let part = count > 1 ? Double(index) / Double(count - 1) : 0
      return pow(first + part * (last - first), 7)
    }
  }
}

/// Timesteps and noise levels of a run, as LMS and Euler take them, with the level that the last step ends at.
struct SigmaRun {
  let timesteps: [Float]
  let sigmas: [Float]
  let initialNoiseScale: Float

  init(_ config: SchedulerConfig, steps: Int, finalSigma: FinalSigma) throws {
    let levels = NoiseLevels(NoiseSchedule(config))
    var times =
      config.effectiveSpacing == .linspace
      ? config.evenTimesteps(steps).map { Double(Float($0)) } : try config.spacedTimesteps(steps).map(Double.init)
    var sigmas = times.map(levels.sigma)
    if config.usesKarrasSigmas {
      sigmas = NoiseLevels.karras(from: sigmas[0], to: sigmas[steps - 1], count: steps)
      times = sigmas.map(levels.timestep)
    }
    timesteps = times.map(Float.init)
    self.sigmas = (sigmas + [finalSigma == .zero ? 0 : levels.smallest]).map(Float.init)
    // Leading spacing begins below the noisiest timestep, where the sample holds some of the clean one besides.
    let largest = self.sigmas.max() ?? 0
    initialNoiseScale = config.effectiveSpacing == .leading ? (largest * largest + 1).squareRoot() : largest
  }

  /// What the sample at a step is multiplied by to be one of the model's, of variance 1.
  func inputScale(_ step: Int) -> Float { 1 / (sigmas[step] * sigmas[step] + 1).squareRoot() }
}
