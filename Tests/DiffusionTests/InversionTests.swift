import Diffusion
import Tensors
import TestSupport
import Testing

@Suite struct InversionTests {
  private let model: DiffusionModel
  private let prompt = "a blue star"

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func roundTripError(steps: Int) throws -> Double {
    let sampler = try Sampler(model, SamplerSettings(steps: steps, guidanceScale: 1))
    let clean = try sampler.denoise(sampler.noise(ImageRequest(prompt: prompt, seed: 1)), prompts: [prompt])
    let noise = try Inversion(model, steps: steps)(clean, prompt: prompt)
    return relativeError(try sampler.denoise(noise, prompts: [prompt]), clean)
  }

  @Test func `sampling from inverted noise leads back, the closer the more steps there are`() throws {
    let (few, many) = (try roundTripError(steps: 10), try roundTripError(steps: 50))
    #expect(many < 0.05)
    #expect(many < few)
  }

  @Test func `inversion visits the sampler's timesteps the other way round`() throws {
    #expect(try Inversion(model, steps: 50).timesteps == (0..<50).map { 1 + 20 * $0 })
    #expect(throws: SamplingError.self) { try Inversion(model, steps: 0) }
  }

  @Test func `a batch is inverted as its items are`() throws {
    let latents = RandomStream(seed: 2, "latents").normal([2, 4, 8, 8])
    let inversion = try Inversion(model, steps: 3)
    let both = try inversion(latents, prompt: prompt)
    for item in 0..<2 {
      let alone = try inversion(latents.slice(axis: 0, item..<item + 1), prompt: prompt)
      #expect(bits(alone) == bits(both.slice(axis: 0, item..<item + 1)))
    }
  }

  @Test func `a model that erases nothing draws a picture again as the round trip does`() throws {
    let picture = RGBImage(width: 32, height: 32, filledWith: (200, 40, 90))
    let settings = SamplerSettings(steps: 5, guidanceScale: 1)
    var seen: [Int] = []
    let same = try Purification(inverting: model, drawing: model, settings: settings, prompt: prompt)(
      picture, progress: { done, total in seen.append(done * 100 / total) })
    #expect(same.picture == same.reconstruction)
    #expect(same.roundTripError.isFinite && seen == seen.sorted() && seen.last == 100)
    let name = "conv_out.bias"
    let bias = try #require(model.unetWeights[name])
    let other = try model.replacingUNetWeights([name: bias + 0.1])
    let changed = try Purification(inverting: model, drawing: other, settings: settings, prompt: prompt)(picture)
    #expect(changed.reconstruction == same.reconstruction && changed.picture != same.picture)
  }

  @Test func `a picture that no latent fits is refused`() {
    let picture = RGBImage(width: 30, height: 32)
    let purification = Purification(inverting: model, drawing: model, settings: SamplerSettings(steps: 2))
    #expect(throws: SamplingError.self) { try purification(picture) }
  }
}
