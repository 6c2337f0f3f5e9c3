import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct PartialTrajectoryTests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func trajectory(_ pairing: TimestepPairing, steps: Int = 5) throws -> PartialTrajectory {
    try PartialTrajectory(model, steps: steps, startGuidance: 3, pairing: pairing)
  }

  private let stream = RandomStream(seed: 4, "trajectory")

  @Test func runsTheStepsAndNamesTheTimestepOfTheNext() throws {
    let trajectory = try trajectory(.next)
    let noise = stream.substream("noise").normal([1] + trajectory.sampler.latentShape)
    #expect(try bits(trajectory.point("a", stream, after: 0).latent) == bits(noise))
    let point = try trajectory.point("a", stream, after: 2)
    #expect(bits(point.latent) == bits(try trajectory.sampler.partialTrajectory(noise, prompt: "a", steps: 2)))
    #expect(point.timestep == trajectory.timesteps[2])
    #expect(try trajectory.timesteps == DDIMScheduler(model.architecture.scheduler).timesteps(5))
  }

  @Test func goesOnWhereItStopped() throws {
    let sampler = try trajectory(.next).sampler
    let noise = stream.normal([1] + sampler.latentShape)
    let half = try sampler.partialTrajectory(noise, prompt: "a", steps: 2)
    let whole = try sampler.partialTrajectory(half, prompt: "a", from: 2, steps: 5)
    #expect(bits(whole) == bits(try sampler.denoise(noise, prompts: ["a"])))
  }

  /// With 5 steps of 1000 timesteps, each stands for 200 of them.
  @Test func pairsLatentsAndTimestepsAsTheScriptsDo() throws {
    let sampler = try trajectory(.next).sampler
    let noise = stream.substream("noise").normal([1] + sampler.latentShape)
    let timesteps = try trajectory(.next).timesteps
    for step in 0..<5 {
      #expect(try trajectory(.last).point("a", stream, after: step + 1).timestep == timesteps[step])
      let bin = try trajectory(.bin).point("a", stream, after: step)
      #expect((800 - 200 * step..<1000 - 200 * step).contains(bin.timestep))
      #expect((800 - 200 * step..<1000 - 200 * step).contains(timesteps[step]))
      // The script of 2023: step counts from the clean end, and the noisiest step is left out.
      let old = try trajectory(.esd2023).point("a", stream, after: step)
      #expect((200 * step..<200 * step + 200).contains(old.timestep))
      let last = step == 0 ? 5 : 6 - step
      #expect(bits(old.latent) == bits(try sampler.partialTrajectory(noise, prompt: "a", from: 1, steps: last)))
    }
    #expect(throws: ErasureError.self) { _ = try trajectory(.esd2023, steps: 1) }
  }

  @Test func drawsTheStepUniformly() {
    let steps = TimestepPairing.next.steps(of: 5)
    #expect(steps == 0..<5 && TimestepPairing.last.steps(of: 5) == 1..<6)
  }

  @Test func isTheSameForAnyNumberOfThreads() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    let trajectory = try trajectory(.bin)
    let streams = (0..<3).map { stream.item($0) }
    func points() throws -> [[UInt32]] {
      try trajectory.points(["a", "b", "a"], streams).map { bits($0.latent) + [UInt32($0.timestep)] }
    }
    Parallel.threadCount = 1
    let one = try points()
    Parallel.threadCount = 3
    #expect(try points() == one)
    Parallel.threadCount = 8
    #expect(try points() == one)
  }
}
