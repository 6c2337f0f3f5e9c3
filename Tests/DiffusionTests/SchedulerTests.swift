import Diffusion
import Tensors
import TestSupport
import Testing

@Suite struct SchedulerTests {
  @Test func `Stable Diffusion's fifty timesteps are 981, 961, ..., 21, 1`() throws {
    let timesteps = try DDIMScheduler(DDIMConfig()).timesteps(50)
    #expect(timesteps == (0..<50).map { 981 - 20 * $0 })
  }

  @Test func `trailing and linspace spacings visit the timesteps that diffusers visits`() throws {
    var config = DDIMConfig()
    config.spacing = .trailing
    #expect(try DDIMScheduler(config).timesteps(4) == [999, 749, 499, 249])
    #expect(try DDIMScheduler(config).timesteps(7) == [999, 856, 713, 570, 428, 285, 142])
    config.spacing = .linspace
    #expect(try DDIMScheduler(config).timesteps(4) == [999, 666, 333, 0])
    #expect(try DDIMScheduler(config).timesteps(7) == [999, 832, 666, 500, 333, 166, 0])
    #expect(try DDIMScheduler(config).timesteps(1) == [0])
  }

  @Test(arguments: [0, -1, 1001]) func `a number of steps outside the schedule is refused`(steps: Int) {
    let error = #expect(throws: SamplingError.self) { try DDIMScheduler(DDIMConfig()).timesteps(steps) }
    #expect(error?.description.contains("\(steps) inference steps") == true)
  }

  @Test func `a timestep past the schedule is refused with the setting that led there`() {
    let error = #expect(throws: SamplingError.self) { try DDIMScheduler(DDIMConfig()).timesteps(1000) }
    #expect(error?.description.contains("steps_offset") == true)
  }

  @Test func `a step from exact noise returns to the clean sample, noised less`() throws {
    let scheduler = DDIMScheduler(DDIMConfig())
    let stream = RandomStream(seed: 1, "scheduler")
    let clean = stream.item(0).normal([1, 4, 8, 8])
    let noise = stream.item(1).normal([1, 4, 8, 8])
    let noised = scheduler.addNoise(clean, noise: noise, timesteps: [801])
    let stepped = scheduler.step(noise: noise, sample: noised, timestep: 801, steps: 50)
    #expect(relativeError(stepped, scheduler.addNoise(clean, noise: noise, timesteps: [781])) < 1e-5)
  }

  @Test func `clipping limits the clean sample that a step goes through`() {
    var config = DDIMConfig()
    config.clipRange = 0.5
    let far = Tensor.full(9, [1, 1, 2, 2])
    let clean = DDIMScheduler(config).predictedClean(noise: .zeros([1, 1, 2, 2]), sample: far, timestep: 1)
    #expect(clean.values == [0.5, 0.5, 0.5, 0.5])
  }
}
