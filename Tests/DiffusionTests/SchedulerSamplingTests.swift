import Diffusion
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct SchedulerSamplingTests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Reference.tinyDiffusers) }

  private func latents(_ settings: SamplerSettings, batchSize: Int, count: Int = 5) throws -> [[UInt32]] {
    let requests = (0..<count).map { ImageRequest(prompt: ["a red star", ""][$0 % 2], seed: 7, repetition: $0) }
    var found: [[UInt32]] = []
    try Sampler(model, settings).draw(requests, batchSize: batchSize) { range, latents in
      for index in 0..<range.count {
        #expect(latents.values.allSatisfy { $0.isFinite })
        found.append(bits(latents.slice(axis: 0, index..<index + 1)))
      }
    }
    return found
  }

  @Test(arguments: Scheduler.allCases)
  func `an image is the same in every batch, whatever draws it`(scheduler: Scheduler) throws {
    let settings = SamplerSettings(steps: 4, guidanceScale: 3, scheduler: scheduler)
    let alone = try latents(settings, batchSize: 1)
    #expect(try latents(settings, batchSize: 5) == alone)
    #expect(Set(alone).count == 5)
  }

  @Test func `every scheduler draws another image, and a folder's own is drawn by where none is named`() throws {
    var seen: Set<[UInt32]> = []
    for scheduler in Scheduler.allCases {
      let settings = SamplerSettings(steps: 4, guidanceScale: 3, scheduler: scheduler)
      seen.insert(try latents(settings, batchSize: 1, count: 1)[0])
    }
    seen.insert(try latents(SamplerSettings(steps: 4, guidanceScale: 3, eta: 0.5), batchSize: 1, count: 1)[0])
    #expect(seen.count == Scheduler.allCases.count + 1)
    let own = try latents(SamplerSettings(steps: 4, guidanceScale: 3), batchSize: 1, count: 1)
    #expect(try own == latents(SamplerSettings(steps: 4, guidanceScale: 3, scheduler: .ddim), batchSize: 1, count: 1))
  }

  @Test func `the scheduler that the index names decides, and a folder without a class names no scheduler`() throws {
    try withModelFolder { copy in
      let index = URL(filePath: copy + "/model_index.json")
      let text = try String(contentsOf: index, encoding: .utf8)
      try Data(text.replacing("DDIMScheduler", with: "EulerDiscreteScheduler").utf8).write(to: index)
      #expect(try SchedulerConfig(folder: copy).scheduler == .euler)
      let euler = try DiffusionModel(folder: copy)
      #expect(try Sampler(euler, SamplerSettings(steps: 3)).timesteps == [667, 334, 1])
      try euler.write(to: copy + "/written")
      #expect(try SchedulerConfig(folder: copy + "/written") == euler.architecture.scheduler)
      try Data(text.replacing("\"DDIMScheduler\"", with: "null").utf8).write(to: index)
      #expect(try SchedulerConfig(folder: copy).scheduler == .ddim)
    }
  }

  @Test func `what was found for a number of steps is not drawn by a scheduler that takes another number`() throws {
    var changed = model
    changed.intervention.steps = 4
    _ = try Sampler(changed, SamplerSettings(steps: 4))
    #expect(throws: SamplingError("5 steps: what is changed while images are drawn was found for 4")) {
      try Sampler(changed, SamplerSettings(steps: 4, scheduler: .pndm))
    }
  }

  @Test func `inversion leads back in a model that predicts v`() throws {
    try withModelFolder { copy in
      let file = URL(filePath: copy + "/scheduler/scheduler_config.json")
      let text = try String(contentsOf: file, encoding: .utf8)
      try Data(text.replacing("\"epsilon\"", with: "\"v_prediction\"").utf8).write(to: file)
      let model = try DiffusionModel(folder: copy)
      let sampler = try Sampler(model, SamplerSettings(steps: 100, guidanceScale: 1))
      let clean = try sampler.denoise(sampler.noise(ImageRequest(prompt: "a", seed: 1)), prompts: ["a"])
      let noise = try Inversion(model, steps: 100)(clean, prompt: "a")
      #expect(relativeError(try sampler.denoise(noise, prompts: ["a"]), clean) < 0.05)
    }
  }
}
