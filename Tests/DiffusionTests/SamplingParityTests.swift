import Diffusion
import TestSupport
import Tensors
import Testing

@Suite("Sampling agrees with diffusers")
struct SamplingParityTests {
  private let scheduler: DDIMScheduler

  init() throws {
    let file = try ConfigurationFile(path: Reference.tinyDiffusers + "/scheduler/scheduler_config.json")
    scheduler = DDIMScheduler(try SchedulerConfig(file))
  }

  @Test("timesteps, the noise schedule, one step and noising, from the folder's own configuration")
  func parts() throws {
    #expect(try scheduler.timesteps(10).map(Float.init) == Reference.tensor("ddim.timesteps").values)
    let alphas = stride(from: 0, to: 1000, by: 37).map { scheduler.schedule.cumulativeAlphas[$0] }
    try expectAgreement(Tensor(alphas, shape: [alphas.count]), "ddim.alphas_cumprod", within: 1e-6)
    let (noise, sample) = (try Reference.tensor("unet.sample"), try Reference.tensor("vae.latents"))
    let next = scheduler.step(noise, sample: sample, timestep: 501, steps: 10)
    try expectAgreement(next, "ddim.scheduler_step", within: 1e-6)
    try expectAgreement(
      scheduler.schedule.addNoise(sample, noise: noise, timesteps: [981, 37]), "ddim.add_noise", within: 1e-6)
  }

  @Test("ten guided steps from the same noise, and the picture they decode to")
  func guidedSteps() throws {
    let (unetConfig, unetWeights) = try Reference.unet()
    let (textConfig, textWeights) = try Reference.text()
    let (vaeConfig, vaeWeights) = try Reference.vae()
    let unet = try UNet2DConditionModel(unetConfig, unetWeights)
    let hidden = try CLIPTextModel(textConfig, textWeights)(Reference.ids())
    let (prompt, empty) = (hidden.slice(axis: 0, 0..<1), hidden.slice(axis: 0, 2..<3))
    var latents = try Reference.tensor("ddim.noise")
    for timestep in try scheduler.timesteps(10) {
      let conditional = unet(latents, timesteps: [timestep], encoderHiddenStates: prompt)
      let unconditional = unet(latents, timesteps: [timestep], encoderHiddenStates: empty)
      let noise = unconditional + (conditional - unconditional) * 7.5
      latents = scheduler.step(noise, sample: latents, timestep: timestep, steps: 10)
    }
    try expectAgreement(latents, "ddim.latents")
    try expectAgreement(AutoencoderKL(vaeConfig, vaeWeights).decode(scaled: latents), "ddim.image")
  }
}
