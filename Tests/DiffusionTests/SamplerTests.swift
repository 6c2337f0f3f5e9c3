import Diffusion
import Synchronization
import Tensors
import TestSupport
import Testing

@Suite struct SamplerTests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Reference.tinyDiffusers) }

  private func requests(_ count: Int) -> [ImageRequest] {
    let prompts = ["a red striped circle on a white background", "a blue star", ""]
    return (0..<count).map { ImageRequest(prompt: prompts[$0 % 3], seed: 7, repetition: $0 / 3) }
  }

  private func latents(_ sampler: Sampler, _ requests: [ImageRequest], batchSize: Int) throws -> [[UInt32]] {
    var found: [[UInt32]] = []
    try sampler.draw(requests, batchSize: batchSize) { range, latents in
      for index in 0..<range.count { found.append(bits(latents.slice(axis: 0, index..<index + 1))) }
    }
    return found
  }

  @Test func `ten guided DDIM steps from the same noise end in the latent and the image of diffusers`() throws {
    let sampler = try Sampler(model, SamplerSettings(steps: 10, guidanceScale: 7.5))
    #expect(sampler.timesteps == (try Reference.tensor("ddim.timesteps")).values)
    let latents = try sampler.denoise(
      try Reference.tensor("ddim.noise"), prompts: ["a red striped circle on a white background"])
    try expectAgreement(latents, "ddim.latents")
    try expectAgreement(model.vae.decode(scaled: latents), "ddim.image")
  }

  @Test func `every batch size gives the same bytes`() throws {
    let sampler = try Sampler(model, SamplerSettings(steps: 3, guidanceScale: 4, negativePrompt: "green"))
    let requests = requests(7)
    let alone = try latents(sampler, requests, batchSize: 1)
    #expect(try latents(sampler, requests, batchSize: 3) == alone)
    #expect(try latents(sampler, requests, batchSize: 7) == alone)
    #expect(try latents(sampler, requests.reversed(), batchSize: 4) == alone.reversed())
  }

  @Test func `a few images on several threads tell of each of their steps`() throws {
    let sampler = try Sampler(model, SamplerSettings(steps: 5, guidanceScale: 2))
    // As many as there are threads, each of which draws by itself, and one more than fit a round.
    for count in [1, Parallel.threadCount, 4 * Parallel.threadCount + 1] {
      let told = Mutex<[Int]>([])
      let noise = Tensor.zeros([count] + sampler.latentShape)
      let prompts = Array(repeating: "a circle", count: count)
      _ = try sampler.denoise(noise, prompts: prompts, stepped: { step in told.withLock { $0.append(step) } })
      let steps = told.withLock { $0 }
      #expect(steps.count >= 5 && steps == steps.sorted() && steps.last == 5, "\(count): \(steps)")
    }
  }

  @Test func `a guidance scale of one or less is the prompt alone`() throws {
    let request = requests(1)
    let one = try latents(Sampler(model, SamplerSettings(steps: 2, guidanceScale: 1)), request, batchSize: 1)
    let ignored = SamplerSettings(steps: 2, guidanceScale: 0.5, negativePrompt: "green")
    #expect(try latents(Sampler(model, ignored), request, batchSize: 1) == one)
    let guided = SamplerSettings(steps: 2, guidanceScale: 2)
    #expect(try latents(Sampler(model, guided), request, batchSize: 1) != one)
  }

  @Test func `a negative prompt changes what guidance leads away from`() throws {
    let request = requests(1)
    let plain = try latents(Sampler(model, SamplerSettings(steps: 2, guidanceScale: 5)), request, batchSize: 1)
    let away = SamplerSettings(steps: 2, guidanceScale: 5, negativePrompt: "a circle")
    #expect(try latents(Sampler(model, away), request, batchSize: 1) != plain)
  }

  @Test func `noise is addressed by seed, prompt and repetition alone`() throws {
    let sampler = try Sampler(model, SamplerSettings(steps: 1, guidanceScale: 1))
    let request = ImageRequest(prompt: "a circle", seed: 3, repetition: 2)
    let other = try Sampler(model, SamplerSettings(steps: 9, guidanceScale: 4))
    #expect(bits(sampler.noise(request)) == bits(other.noise(request)))
    var changed = request
    changed.repetition = 1
    #expect(bits(sampler.noise(changed)) != bits(sampler.noise(request)))
    #expect(sampler.noise(request).shape == [1, 4, 8, 8])
  }

  @Test func `size in pixels decides the latent, and only fitting sizes are taken`() throws {
    let wide = try Sampler(model, SamplerSettings(steps: 1, guidanceScale: 3, height: 32, width: 64))
    #expect(wide.latentShape == [4, 8, 16])
    let latents = try wide.denoise(wide.noise(ImageRequest(prompt: "a star", seed: 1)), prompts: ["a star"])
    let picture = wide.pictures(latents)[0]
    #expect(picture.width == 64 && picture.height == 32)
    for settings in [SamplerSettings(height: 40), SamplerSettings(width: 0), SamplerSettings(width: -16)] {
      let error = #expect(throws: SamplingError.self) { try Sampler(model, settings) }
      #expect(error?.description.contains("multiple of 16") == true)
    }
    #expect(throws: SamplingError.self) { try Sampler(model, SamplerSettings(guidanceScale: -1)) }
    #expect(throws: SamplingError.self) { try Sampler(model, SamplerSettings(guidanceScale: .nan)) }
  }

  @Test func `progress counts steps and images, and cancelling ends the run between steps`() throws {
    let sampler = try Sampler(model, SamplerSettings(steps: 2, guidanceScale: 1))
    var seen: [[Int]] = []
    try sampler.draw(requests(3), batchSize: 2, progress: { seen.append([$0.finished, $0.total, $0.step, $0.steps]) }) {
      _, _ in
    }
    // How often progress is told depends on how many images a thread has to itself; that it ends at the end does not.
    #expect(seen.contains([0, 3, 2, 2]) && seen.last == [2, 3, 2, 2])
    #expect(seen.map { $0[0] * 2 + $0[2] } == seen.map { $0[0] * 2 + $0[2] }.sorted())
    var finished = 0
    #expect(throws: CancellationError.self) {
      try sampler.draw(requests(3), batchSize: 2, isCancelled: { finished == 1 }) { _, _ in finished += 1 }
    }
    #expect(finished == 1)
  }

  @Test func `the UNet gives the same bytes with text and time prepared before or not`() throws {
    let states = try Reference.tensor("unet.hidden")
    let sample = try Reference.tensor("unet.sample")
    let direct = model.unet(sample, timesteps: [37, 37], encoderHiddenStates: states)
    let prepared = model.unet(
      sample, time: model.unet.prepare(timesteps: [37]), text: model.unet.prepare(text: states))
    #expect(bits(direct) == bits(prepared))
  }

  @Test func `latents shared by two texts give what each text gives alone`() throws {
    let states = try Reference.tensor("unet.hidden")
    let sample = try Reference.tensor("unet.sample").slice(axis: 0, 0..<1)
    let both = model.unet(sample, timesteps: [500], encoderHiddenStates: states)
    for index in 0..<2 {
      let alone = model.unet(
        sample, timesteps: [500], encoderHiddenStates: states.slice(axis: 0, index..<index + 1))
      #expect(bits(both.slice(axis: 0, index..<index + 1)) == bits(alone))
    }
  }

  @Test func `gradients reach latents and text states`() throws {
    let tape = Tape()
    let states = tape.watch(try Reference.tensor("unet.hidden"))
    let sample = tape.watch(try Reference.tensor("unet.sample"))
    let loss = model.unet(sample, timesteps: [981, 37], encoderHiddenStates: states).square().mean()
    let gradients = tape.gradients(of: loss, for: [sample, states])
    #expect(gradients[0].sumOfSquares > 0 && gradients[1].sumOfSquares > 0)
  }
}
