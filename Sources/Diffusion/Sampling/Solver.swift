public import Tensors

/// A run of a scheduler: fixed timesteps, and a history that grows with the steps of one trajectory. A copy of one that
/// has made no step yet begins a trajectory of its own.
public protocol Solver {
  /// What the model is asked with at each step, noisiest first; between training timesteps where noise levels are
  /// spaced freely. A run may take more steps than were asked for: Runge-Kutta steps ask several times.
  var timesteps: [Float] { get }
  /// What standard normal noise is multiplied by to begin with.
  var initialNoiseScale: Float { get }
  /// Whether steps add noise.
  var addsNoise: Bool { get }

  /// The sample as the model is given it at a step.
  func modelInput(_ sample: Tensor, step: Int) -> Tensor

  /// The sample after a step.
  ///
  /// - Parameters:
  ///   - output: what the model predicted, guidance included
  ///   - sample: before the step, of the same shape
  ///   - step: the place in ``timesteps``, one more at each call
  ///   - noise: standard normal, of the same shape; asked for where the step adds noise
  mutating func step(_ output: Tensor, _ sample: Tensor, step: Int, noise: () -> Tensor) -> Tensor
}

extension Solver {
  public var initialNoiseScale: Float { 1 }
  public var addsNoise: Bool { false }
  public func modelInput(_ sample: Tensor, step: Int) -> Tensor { sample }
}

extension SchedulerConfig {
  /// The run of ``scheduler``, or of another one over the same noise schedule.
  ///
  /// - Parameters:
  ///   - steps: as many as the user asks for
  ///   - eta: η of DDIM, the share of DDPM's noise that a step adds
  /// - Throws: ``SamplingError`` for a run that the schedule or the model does not allow.
  public func solver(steps: Int, scheduler other: Scheduler? = nil, eta: Double = 0) throws -> any Solver {
    var config = self
    if let other { config.scheduler = other }
    let name = config.scheduler.rawValue
    try checkSteps(steps)
    guard eta == 0 || config.scheduler == .ddim else {
      throw SamplingError("an eta of \(eta): the scheduler \(name) has none, only ddim has")
    }
    guard eta.isFinite, (0...1).contains(eta) else {
      throw SamplingError("an eta of \(eta): a number from 0 to 1 was expected")
    }
    if hasZeroTerminalSNR {
      guard ![.pndm, .lms].contains(config.scheduler) else {
        throw SamplingError("the scheduler \(name) cannot begin at a terminal signal-to-noise ratio of zero")
      }
      guard predictionType != .epsilon || ![.ddim, .ddpm].contains(config.scheduler) else {
        throw SamplingError(
          "the scheduler \(name) finds no picture in noise alone: a terminal signal-to-noise ratio of zero needs a"
            + " model that predicts v or the sample")
      }
    }
    switch config.scheduler {
    case .ddim: return try DDIMSolver(DDIMScheduler(config), steps: steps, eta: Float(eta))
    case .pndm: return try PNDMSolver(config, steps: steps)
    case .lms: return try LMSSolver(config, steps: steps)
    case .dpmSolver: return try DPMSolver(config, steps: steps)
    case .euler: return try EulerSolver(config, steps: steps)
    case .ddpm: return try DDPMSolver(config, steps: steps)
    }
  }

  private func checkSteps(_ steps: Int) throws {
    guard steps >= 1, steps <= trainTimesteps else {
      throw SamplingError(
        "\(steps) inference steps: a number from 1 to the model's \(trainTimesteps) training steps was expected")
    }
  }

  /// The training timesteps that a run visits, noisiest first; 981, 961, ..., 1 for 50 steps of Stable Diffusion.
  func spacedTimesteps(_ steps: Int) throws -> [Int] {
    try checkSteps(steps)
    let timesteps: [Int]
    switch effectiveSpacing {
    case .leading:
      let ratio = trainTimesteps / steps
      timesteps = (0..<steps).reversed().map { $0 * ratio + stepsOffset }
    case .linspace:
      timesteps = evenTimesteps(steps).map { Int($0.rounded(.toNearestOrEven)) }
    case .trailing:
      timesteps = trailingTimesteps(steps, from: trainTimesteps)
    }
    return try checked(timesteps, steps)
  }

  /// From the last training timestep to the first in even parts.
  func evenTimesteps(_ steps: Int) -> [Double] {
    let ratio = steps > 1 ? Double(trainTimesteps - 1) / Double(steps - 1) : 0
    return (0..<steps).reversed().map { Double($0) * ratio }
  }

  /// The ends of `steps` even parts of the training timesteps, those up to `last`.
  func trailingTimesteps(_ steps: Int, from last: Int) -> [Int] {
    let start = Double(last)
    // The difference of the first two numbers, as numpy counts: a tie is rounded the same way.
    let stride = (start - Double(trainTimesteps) / Double(steps)) - start
    let timesteps = (0..<steps).map { Int((start + Double($0) * stride).rounded(.toNearestOrEven)) - 1 }
    return timesteps.filter { $0 >= 0 }
  }

  func checked(_ timesteps: [Int], _ steps: Int) throws -> [Int] {
    guard let first = timesteps.first, first >= trainTimesteps else { return timesteps }
    throw SamplingError(
      "\(steps) inference steps begin at timestep \(first) of \(trainTimesteps), "
        + "because `steps_offset` is \(stepsOffset)")
  }
}
