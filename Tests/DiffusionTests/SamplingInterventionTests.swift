import Diffusion
import Tensors
import TestSupport
import Testing

@Suite struct SamplingInterventionTests {
  private let model: DiffusionModel
  private let settings = SamplerSettings(steps: 4, guidanceScale: 3)
  private let prompt = "a blue star"

  init() throws { model = try DiffusionModel(folder: Reference.tinyDiffusers) }

  private func noise(_ count: Int) throws -> Tensor {
    let sampler = try Sampler(model, settings)
    return concatenate(
      (0..<count).map { sampler.noise(ImageRequest(prompt: prompt, seed: 1, repetition: $0)) }, axis: 0)
  }

  private func draw(_ intervention: SamplingIntervention, _ settings: SamplerSettings? = nil) throws -> Tensor {
    var model = model
    model.intervention = intervention
    return try Sampler(model, settings ?? self.settings).denoise(noise(3), prompts: [prompt, "", "a cat"])
  }

  @Test func `hooks that change nothing change nothing, and see every layer under its name`() throws {
    var names: Set<String> = []
    var hooks = UNetHooks()
    hooks.residualActivation = { name, x in x }
    hooks.transformerOutput = { name, x in x }
    hooks.feedForwardActivation = { name, x in x }
    #expect(try bits(draw(SamplingIntervention(hooks: { _ in hooks }))) == bits(draw(SamplingIntervention())))

    hooks.residualActivation = { names.insert($0); return $1 }
    hooks.transformerOutput = { names.insert($0); return $1 }
    hooks.feedForwardActivation = { names.insert($0); return $1 }
    hooks.crossAttentionProbabilities = { names.insert($0); return $1 }
    let text = model.textEncoder([model.tokenizer.encode(prompt)])
    _ = model.unet(try noise(1), timesteps: [100], encoderHiddenStates: text, hooks: hooks)
    let weights = model.unetWeights.names
    func modules(_ suffix: String) -> Set<String> {
      Set(weights.filter { $0.hasSuffix(suffix) }.map { String($0.dropLast(suffix.count)) })
    }
    let transformers = modules(".proj_in.weight")
    #expect(!transformers.isEmpty && transformers.isSubset(of: names))
    #expect(modules(".conv1.weight").isSubset(of: names))
    #expect(Set(modules(".ff.net.2.weight").map { $0 + ".ff.net.2" }).isSubset(of: names))
    #expect(Set(modules(".attn2.to_q.weight").map { $0 + ".attn2" }).isSubset(of: names))
  }

  @Test func `attention probabilities that are only looked at leave the noise as it is, and add up to one`() throws {
    let text = model.textEncoder([model.tokenizer.encode(prompt)])
    let plain = model.unet(try noise(1), timesteps: [300], encoderHiddenStates: text)
    var hooks = UNetHooks()
    var worst: Float = 0
    hooks.crossAttentionProbabilities = { _, p in
      worst = max(worst, (p.sum(axis: 2) - 1).abs().largest)
      return p
    }
    let watched = model.unet(try noise(1), timesteps: [300], encoderHiddenStates: text, hooks: hooks)
    #expect(relativeError(watched, plain) < 1e-5)
    #expect(worst < 1e-5)
  }

  @Test func `the hooks of a step run at that step alone`() throws {
    var zeroed = UNetHooks()
    zeroed.transformerOutput = { _, x in x * 0 }
    let last = try draw(SamplingIntervention(hooks: { $0 == 3 ? zeroed : UNetHooks() }))
    #expect(bits(last) != bits(try draw(SamplingIntervention())))
    #expect(
      try bits(draw(SamplingIntervention(hooks: { $0 == 9 ? zeroed : UNetHooks() })))
        == bits(draw(SamplingIntervention())))
  }

  @Test func `guidance of one's own that follows the rule is classifier-free guidance`() throws {
    let guidance = ConceptGuidance(prompts: ["a cat", "a circle"]) { noise, state in
      #expect(noise.concepts.count == 2)
      state = (state ?? Tensor.zeros(noise.conditional.shape)) + 1
      #expect(state?.largest == Float(noise.step + 1))
      return noise.unconditional + (noise.conditional - noise.unconditional) * 3
    }
    let own = try draw(SamplingIntervention(guidance: guidance))
    #expect(relativeError(own, try draw(SamplingIntervention())) < 1e-5)
  }

  @Test func `guidance away from a concept needs classifier-free guidance`() {
    let guidance = ConceptGuidance(prompts: ["a cat"]) { noise, _ in noise.conditional }
    #expect(throws: SamplingError.self) {
      try draw(SamplingIntervention(guidance: guidance), SamplerSettings(steps: 2, guidanceScale: 1))
    }
  }

  @Test func `a partial trajectory of all steps is the image's latent, and one of none its noise`() throws {
    let sampler = try Sampler(model, settings)
    let start = try noise(1)
    #expect(bits(try sampler.partialTrajectory(start, prompt: prompt, steps: 0)) == bits(start))
    #expect(
      bits(try sampler.partialTrajectory(start, prompt: prompt, steps: 4))
        == bits(try sampler.denoise(start, prompts: [prompt])))
  }

  @Test func `an inverse step undoes a step that follows the same noise`() throws {
    let (sample, noise) = (try noise(1), RandomStream(seed: 2, "noise").normal([1] + (try noise(1)).shape.dropFirst()))
    let scheduler = DDIMScheduler(model.architecture.scheduler)
    let there = scheduler.step(noise, sample: sample, timestep: 501, steps: 10)
    let back = scheduler.inverseStep(noise, sample: there, timestep: 501, steps: 10)
    #expect(relativeError(back, sample) < 1e-4)
  }
}
