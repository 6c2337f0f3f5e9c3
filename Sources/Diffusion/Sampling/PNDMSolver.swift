internal import Tensors

/// Pseudo numerical methods for diffusion models (Liu et al., ICLR 2022, arXiv 2202.09778): linear multistep of order
/// four over predicted noise, each step by the paper's transfer (equation 9).
///
/// It begins with three Runge-Kutta steps (S-PNDM's pseudo Runge-Kutta, four predictions each), or, as Stable Diffusion
/// does, with the steps that are there so far and a second prediction for the first of them (PLMS of latent diffusion).
struct PNDMSolver: Solver {
  private let schedule: NoiseSchedule
  /// ᾱ after the last step.
  private let lastShare: Float
  /// The predictions of Runge-Kutta steps, then those of multistep ones.
  private let rungeKutta, multistep: [Int]
  private let stride: Int

  /// Outputs of the last multistep steps, newest last.
  private var outputs: [Tensor] = []
  /// Where the Runge-Kutta step, or the repeated first step, began.
  private var start: Tensor?
  /// The weighted sum of a Runge-Kutta step's outputs so far.
  private var sum: Tensor?

  init(_ config: SchedulerConfig, steps: Int) throws {
    guard config.predictionType != .sample else {
      throw SamplingError("the scheduler pndm cannot sample a model that predicts the clean sample")
    }
    schedule = NoiseSchedule(config)
    lastShare = config.endsWithoutNoise ? 1 : schedule.cumulativeAlphas[0]
    stride = config.trainTimesteps / steps
    let ascending = Array(try config.spacedTimesteps(steps).reversed())
    if config.skipsRungeKutta {
      rungeKutta = []
      multistep = Array((ascending.dropLast() + ascending.dropLast().suffix(1) + ascending.suffix(1)).reversed())
    } else {
      guard steps >= 4 else {
        throw SamplingError("\(steps) inference steps: the Runge-Kutta steps of pndm need at least 4")
      }
      let half = stride / 2
      let pairs = ascending.suffix(4).flatMap { [$0, $0 + half] }
      rungeKutta = Array(pairs.dropLast().flatMap { [$0, $0] }.dropFirst().dropLast().reversed())
      multistep = Array(ascending.dropLast(3).reversed())
    }
  }

  var timesteps: [Float] { (rungeKutta + multistep).map(Float.init) }

  mutating func step(_ output: Tensor, _ sample: Tensor, step: Int, noise: () -> Tensor) -> Tensor {
    step < rungeKutta.count
      ? rungeKuttaStep(output, sample, step) : multistepStep(output, sample, step - rungeKutta.count)
  }

  private mutating func rungeKuttaStep(_ output: Tensor, _ sample: Tensor, _ step: Int) -> Tensor {
    let timestep = rungeKutta[step / 4 * 4]
    let next = rungeKutta[step] - (step % 2 == 0 ? stride / 2 : 0)
    var direction = output
    switch step % 4 {
    case 0:
      sum = output * (1 / 6)
      outputs.append(output)
      start = sample
    case 3: direction = (sum ?? output) + output * (1 / 6)
    default: sum = (sum ?? output) + output * (1 / 3)
    }
    return transfer(start ?? sample, direction, from: timestep, to: next)
  }

  private mutating func multistepStep(_ output: Tensor, _ sample: Tensor, _ step: Int) -> Tensor {
    let timestep = multistep[step]
    if step == 1, rungeKutta.isEmpty, let first = outputs.first, let start {
      // The first step again, with the mean of the predictions at both of its ends.
      self.start = nil
      return transfer(start, (output + first) * 0.5, from: timestep + stride, to: timestep)
    }
    outputs = outputs.suffix(3) + [output]
    if outputs.count == 1 { start = sample }
    return transfer(sample, combination, from: timestep, to: timestep - stride)
  }

  /// The outputs as Adams and Bashforth weigh them.
  private var combination: Tensor {
    let newest = Array(outputs.reversed())
    switch newest.count {
    case 1: return newest[0]
    case 2: return (newest[0] * 3 - newest[1]) * (1 / 2)
    case 3: return (newest[0] * 23 - newest[1] * 16 + newest[2] * 5) * (1 / 12)
    default: return (newest[0] * 55 - newest[1] * 59 + newest[2] * 37 - newest[3] * 9) * (1 / 24)
    }
  }

  /// x_s from x_t along predicted noise.
  private func transfer(_ sample: Tensor, _ output: Tensor, from timestep: Int, to next: Int) -> Tensor {
    let share = schedule.cumulativeAlphas[timestep]
    let nextShare = next >= 0 ? schedule.cumulativeAlphas[next] : lastShare
    let noise = schedule.noise(output, sample, share: share)
    let divisor = share * (1 - nextShare).squareRoot() + (share * (1 - share) * nextShare).squareRoot()
    return sample * (nextShare / share).squareRoot() - noise * ((nextShare - share) / divisor)
  }
}
