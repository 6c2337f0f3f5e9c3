import Diffusion
import TestSupport
import Tensors
import Testing

/// The cache keeps one image a key, drawn in whatever batch was at hand: its bytes must not depend on the others.
@Suite("An item has the same bytes alone as in a batch")
struct BatchTests {
  private func item(_ index: Int, _ tensor: Tensor) -> Tensor { tensor.slice(axis: 0, index..<index + 1) }

  @Test("noise prediction, also from text and time prepared before")
  func unet() throws {
    let (config, weights) = try Reference.unet()
    let unet = try UNet2DConditionModel(config, weights)
    let hidden = try Reference.tensor("text.hidden")
    let latents = RandomStream(seed: 1, "latents").normal([5, 4, 8, 8])
    let states = concatenate([hidden, hidden.slice(axis: 0, 0..<2)], axis: 0)
    let together = unet(latents, timesteps: [441, 441, 441, 441, 441], encoderHiddenStates: states)
    for index in 0..<5 {
      let (latent, text) = (item(index, latents), item(index, states))
      let expected = bits(item(index, together))
      #expect(bits(unet(latent, timesteps: [441], encoderHiddenStates: text)) == expected, "item \(index)")
      let prepared = unet(latent, time: unet.prepare(timesteps: [441]), text: unet.prepare(text: text))
      #expect(bits(prepared) == expected, "item \(index), prepared")
    }
  }

  @Test("decoding and encoding of images")
  func autoencoder() throws {
    let (config, weights) = try Reference.vae()
    let vae = try AutoencoderKL(config, weights)
    let latents = RandomStream(seed: 2, "latents").normal([3, 4, 8, 8])
    let images = vae.decode(latents)
    let means = vae.encode(images).mean
    for index in 0..<3 {
      let image = vae.decode(item(index, latents))
      #expect(bits(image) == bits(item(index, images)), "item \(index)")
      #expect(bits(vae.encode(image).mean) == bits(item(index, means)), "item \(index)")
    }
  }

  @Test("hidden states, and both towers of CLIP with their projections")
  func clip() throws {
    let (config, weights) = try Reference.clip()
    let clip = try CLIPModel(config, weights)
    let (textConfig, textWeights) = try Reference.text()
    let encoder = try CLIPTextModel(textConfig, textWeights)
    let ids = try Reference.ids()
    let pixels = try Reference.tensor("clip.pixels")
    let (images, texts, hidden) = (clip.imageFeatures(pixels), clip.textFeatures(ids), encoder(ids))
    for index in 0..<3 {
      #expect(bits(encoder([ids[index]])) == bits(item(index, hidden)), "prompt \(index)")
      #expect(bits(clip.textFeatures([ids[index]])) == bits(item(index, texts)), "prompt \(index)")
      #expect(bits(clip.imageFeatures(item(index, pixels))) == bits(item(index, images)), "image \(index)")
    }
  }
}
