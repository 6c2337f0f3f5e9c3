public import Configuration
public import Diffusion
public import Tensors

/// Points of a model's own trajectories (methods 0.4): a number of DDIM steps k is drawn, k steps are run from fresh
/// noise under a prompt, and the latent that they reach is what a technique trains or measures at.
///
/// It stands for noised images of the concept without needing any. A trajectory follows the model's intervention, so
/// one with a ``ConceptGuidance`` goes where that leads.
public struct PartialTrajectory {
  /// A latent and the timestep to ask the noise predictor about it with.
  public struct Point {
    /// (1, channels, height, width)
    public let latent: Tensor
    /// Of the training timesteps, 0 being the cleanest.
    public let timestep: Int
    /// The number of steps k.
    public let step: Int
  }

  /// The model that draws, and how.
  public let sampler: Sampler
  /// Of a whole run, noisiest first.
  public let timesteps: [Int]
  public let pairing: TimestepPairing
  private let isCancelled: () -> Bool

  /// - Parameters:
  ///   - steps: DDIM steps of a whole run
  ///   - startGuidance: the scale of classifier-free guidance; 1 and below is the prompt alone
  ///   - isCancelled: asked before every step, on several threads at once; a run that it ends throws
  ///     `CancellationError`
  /// - Throws: `SamplingError` for settings that the model cannot follow, ``ErasureError`` for a pairing that needs
  ///   more steps.
  public init(
    _ model: DiffusionModel, steps: Int, startGuidance: Double, pairing: TimestepPairing = .next,
    isCancelled: @escaping () -> Bool = { false }
  ) throws {
    guard pairing != .esd2023 || steps > 1 else {
      throw ErasureError("the timestep pairing \"\(pairing.rawValue)\" needs at least 2 steps")
    }
    sampler = try Sampler(model, SamplerSettings(steps: steps, guidanceScale: startGuidance, scheduler: .ddim))
    timesteps = try DDIMScheduler(model.architecture.scheduler).timesteps(steps)
    self.pairing = pairing
    self.isCancelled = isCancelled
  }

  /// A point after a random number of steps, uniform over ``TimestepPairing/steps(of:)``.
  ///
  /// - Parameter stream: the random numbers of this point alone, for example those of an item of a technique's stream
  public func point(_ prompt: String, _ stream: RandomStream) throws -> Point {
    let steps = pairing.steps(of: timesteps.count)
    return try point(
      prompt, stream, after: steps.lowerBound + stream.substream("step").integer(below: steps.count))
  }

  /// Points of several prompts at once, each with a stream of its own, on several threads.
  ///
  /// - Returns: the same as ``point(_:_:)`` for each, whatever the number of threads
  public func points(_ prompts: [String], _ streams: [RandomStream]) throws -> [Point] {
    precondition(prompts.count == streams.count, "\(streams.count) streams for \(prompts.count) prompts")
    return try mapOnThreads(prompts.count) { try point(prompts[$0], streams[$0]) }
  }

  /// The point after a given number of steps k of ``TimestepPairing/steps(of:)``.
  public func point(_ prompt: String, _ stream: RandomStream, after step: Int) throws -> Point {
    let executed = pairing.executedSteps(step, of: timesteps.count)
    let latent = try sampler.partialTrajectory(
      stream.substream("noise").normal([1] + sampler.latentShape), prompt: prompt, from: executed.lowerBound,
      steps: executed.upperBound, isCancelled: isCancelled)
    return Point(latent: latent, timestep: timestep(stream, of: step), step: step)
  }

  /// What a point after a random number of steps takes in the mean.
  ///
  /// - Parameter texts: of a step; by default the two of guidance, or the prompt alone
  static func work(
    steps: Int, startGuidance: Double, pairing: TimestepPairing = .next, texts: Int? = nil
  ) -> ModelWork {
    let executed = pairing.steps(of: steps).reduce(0) { $0 + pairing.executedSteps($1, of: steps).count }
    let mean = Double(executed) / Double(max(1, pairing.steps(of: steps).count))
    return ModelWork(forwards: mean * Double(texts ?? (startGuidance > 1 ? 2 : 1)))
  }

  private func timestep(_ stream: RandomStream, of step: Int) -> Int {
    let candidates = pairing.timesteps(
      after: step, of: timesteps, trainTimesteps: sampler.model.schedule.trainTimesteps)
    guard candidates.count > 1 else { return candidates.lowerBound }
    return candidates.lowerBound + stream.substream("timestep").integer(below: candidates.count)
  }
}

/// Which timestep goes with the latent of a partial trajectory: the public scripts of ESD, SDD and CAD disagree.
public enum TimestepPairing: String, CaseIterable, ConfigurationValue {
  /// That of the step that comes next, which the latent's noise is that of (ESD's script of 2025).
  case next
  /// That of the step just executed, one too noisy for the latent (CAD's script).
  case last
  /// Any training timestep between the next step and the one before it (SDD's script).
  case bin
  /// ESD's script of 2023: k counts the steps that remain, the run begins one step late, and the timestep is any of
  /// those between steps k and k + 1 from the clean end, which leaves the latent two to three steps too clean.
  case esd2023 = "2023"

  /// The values that k may have in a run of `steps` steps.
  public func steps(of steps: Int) -> Range<Int> { self == .last ? 1..<steps + 1 : 0..<steps }

  /// The steps of a run that are executed for a k.
  func executedSteps(_ step: Int, of steps: Int) -> Range<Int> {
    guard self == .esd2023 else { return 0..<step }
    // Of the ascending list without its last entry, places steps - 2 down to k - 1 are visited, or all where k is 0.
    return 1..<min(steps - step + 1, steps)
  }

  /// The training timesteps that one is drawn from for a k.
  ///
  /// - Parameter timesteps: those of a whole run, noisiest first
  func timesteps(after step: Int, of timesteps: [Int], trainTimesteps: Int) -> Range<Int> {
    func boundary(_ place: Int) -> Int {
      Int((Double(place) / Double(timesteps.count) * Double(trainTimesteps)).rounded(.toNearestOrEven))
    }
    switch self {
    case .next: return timesteps[step]..<timesteps[step] + 1
    case .last: return timesteps[step - 1]..<timesteps[step - 1] + 1
    case .bin: return boundary(timesteps.count - step - 1)..<boundary(timesteps.count - step)
    case .esd2023: return boundary(step)..<boundary(step + 1)
    }
  }
}
