import Configuration
import Diffusion
import Tensors
import TestSupport
import Testing

/// The model family agrees with diffusers and transformers on folders that they wrote.
@Suite struct ParityTests {
  @Test func `the UNet predicts the same noise for different timesteps in one batch`() throws {
    let (config, weights) = try Reference.unet()
    let unet = try UNet2DConditionModel(config, weights)
    let output = unet(
      try Reference.tensor("unet.sample"), timesteps: [981, 37],
      encoderHiddenStates: try Reference.tensor("unet.hidden"))
    try expectAgreement(output, "unet.output")
  }

  @Test func `the UNet takes latents that are wider than high`() throws {
    let (config, weights) = try Reference.unet()
    let unet = try UNet2DConditionModel(config, weights)
    let third = try Reference.tensor("text.hidden").slice(axis: 0, 2..<3)
    let output = unet(try Reference.tensor("unet.wide.sample"), timesteps: [500], encoderHiddenStates: third)
    try expectAgreement(output, "unet.wide.output")
  }

  @Test func `the autoencoder encodes and decodes the same values`() throws {
    let (config, weights) = try Reference.vae()
    let vae = try AutoencoderKL(config, weights)
    let posterior = vae.encode(try Reference.tensor("vae.images"))
    try expectAgreement(posterior.mean, "vae.mean")
    try expectAgreement(posterior.logVariance, "vae.logvar")
    try expectAgreement(vae.decode(try Reference.tensor("vae.latents")), "vae.decoded")
  }

  @Test func `the text encoder gives the same hidden states and pooled state`() throws {
    let (config, weights) = try Reference.text()
    let text = try CLIPTextModel(config, weights)
    let ids = try Reference.ids()
    let states = text(ids)
    try expectAgreement(states, "text.hidden")
    try expectAgreement(text.pooled(states, ids), "text.pooled")
  }

  @Test func `both CLIP towers place prompts and images at the same points`() throws {
    let (config, weights) = try Reference.clip()
    let clip = try CLIPModel(config, weights)
    let ids = try Reference.ids()
    let pixels = try Reference.tensor("clip.pixels")
    let states = clip.vision(pixels)
    try expectAgreement(states, "clip.vision_hidden")
    try expectAgreement(clip.vision.pooled(states), "clip.vision_pooled")
    try expectAgreement(clip.imageFeatures(pixels), "clip.image_projection")
    try expectAgreement(clip.imageFeatures(pixels).normalizedRows(), "clip.image_embeds")
    try expectAgreement(clip.text(ids), "clip.text_hidden")
    try expectAgreement(clip.textFeatures(ids), "clip.text_projection")
    let logits = linear(
      clip.imageFeatures(pixels).normalizedRows(), weight: clip.textFeatures(ids).normalizedRows())
    try expectAgreement(logits * clip.logitScale.exp(), "clip.logits_per_image")
  }

  @Test func `a step of DDIM and the noising of clean samples agree`() throws {
    let scheduler = DDIMScheduler(SchedulerConfig())
    let sample = try Reference.tensor("unet.sample")
    let latents = try Reference.tensor("vae.latents")
    try expectAgreement(
      scheduler.step(sample, sample: latents, timestep: 501, steps: 10), "ddim.scheduler_step", within: 1e-6)
    try expectAgreement(
      scheduler.schedule.addNoise(latents, noise: sample, timesteps: [981, 37]), "ddim.add_noise", within: 1e-6)
    let alphas = stride(from: 0, to: 1000, by: 37).map { scheduler.schedule.cumulativeAlphas[$0] }
    try expectAgreement(Tensor(alphas, shape: [alphas.count]), "ddim.alphas_cumprod", within: 1e-6)
  }
}

/// Gradients agree with those of PyTorch, for every parameter.
@Suite struct GradientParityTests {
  @Test func `every gradient of the UNet has the same norm, and some the same values`() throws {
    let (config, weights) = try Reference.unet()
    let tape = Tape()
    let tracked = weights.tracked(on: tape)
    let output = try UNet2DConditionModel(config, tracked)(
      try Reference.tensor("unet.sample"), timesteps: [981, 37],
      encoderHiddenStates: try Reference.tensor("unet.hidden"))
    let loss = mseLoss(output, try Reference.tensor("unet.target"))
    try expectAgreement(loss.reshaped([1]), "unet.loss")
    try expectGradients(of: loss, in: tracked, on: tape, like: "unet")
  }

  @Test func `every gradient of the autoencoder has the same norm`() throws {
    let (config, weights) = try Reference.vae()
    let images = try Reference.tensor("vae.images")
    let tape = Tape()
    let tracked = weights.tracked(on: tape)
    let vae = try AutoencoderKL(config, tracked)
    let posterior = vae.encode(images)
    let variance = posterior.logVariance.exp()
    let divergence = (posterior.mean.square() + variance - posterior.logVariance - 1).sum() * 0.5
    let loss = mseLoss(vae.decode(posterior.mean), images) + divergence * (0.01 / Float(images.shape[0]))
    try expectAgreement(loss.reshaped([1]), "vae.loss")
    try expectGradients(of: loss, in: tracked, on: tape, like: "vae")
  }

  @Test func `every gradient of the text encoder has the same norm`() throws {
    let (config, weights) = try Reference.text()
    let tape = Tape()
    let tracked = weights.tracked(on: tape)
    let states = try CLIPTextModel(config, tracked)(try Reference.ids())
    let loss = (states * (try Reference.tensor("text.upstream"))).mean()
    try expectGradients(of: loss, in: tracked, on: tape, like: "text")
  }

  @Test func `every gradient of CLIP's contrastive loss has the same norm`() throws {
    let (config, weights) = try Reference.clip()
    let tape = Tape()
    let tracked = weights.tracked(on: tape)
    let clip = try CLIPModel(config, tracked)
    let images = clip.imageFeatures(try Reference.tensor("clip.pixels")).normalizedRows()
    let texts = clip.textFeatures(try Reference.ids()).normalizedRows()
    let logits = linear(images, weight: texts) * clip.logitScale.exp()
    let loss =
      (crossEntropy(logits, labels: [0, 1, 2]) + crossEntropy(logits.transposedLast(), labels: [0, 1, 2])) * 0.5
    try expectAgreement(loss.reshaped([1]), "clip.loss")
    try expectGradients(of: loss, in: tracked, on: tape, like: "clip")
  }

  private func expectGradients(of loss: Tensor, in weights: Weights, on tape: Tape, like model: String) throws {
    let parameters = try #require(Reference.json()["\(model).gradient_parameters"]?.array).compactMap(\.string)
    let tensors = try parameters.map { try #require(weights[$0], "\($0)") }
    #expect(weights.names.count == parameters.count)
    let gradients = tape.gradients(of: loss, for: tensors)
    let norms = try Reference.tensor("\(model).gradient_norms").values
    let scale = norms.max() ?? 0
    for (index, name) in parameters.enumerated() {
      let norm = Float(gradients[index].sumOfSquares.squareRoot())
      // A key's bias moves no softmax: its gradient is rounding alone, held against the size of the others.
      #expect(abs(norm - norms[index]) <= 1e-4 * norms[index] + 1e-5 * scale, "\(name)")
    }
    let file = try SafetensorsFile(Fixtures.path("reference.safetensors"))
    for (index, name) in parameters.enumerated() where file.contains("\(model).gradient.\(name)") {
      try expectAgreement(gradients[index], "\(model).gradient.\(name)")
    }
  }
}
