import Configuration
import Diffusion
import Tensors
import TestSupport
import Testing

/// Settings of the family that Stable Diffusion v1 leaves at their defaults do what they do in diffusers.
@Suite struct VariantTests {
  @Test(arguments: ["unet-linear", "unet-mixed"]) func `a UNet with other settings predicts the same noise`(
    name: String
  ) throws {
    let folder = Fixtures.path("variants/\(name)")
    let reference = try SafetensorsFile(folder + "/reference.safetensors")
    let weights = try Reference.weights(folder + "/diffusion_pytorch_model.safetensors")
    let config = try UNetConfig(ConfigurationFile(path: folder + "/config.json"))
    let unet = try UNet2DConditionModel(config, weights)
    let output = unet(
      try reference.tensor("sample"), timesteps: [981, 37], encoderHiddenStates: try reference.tensor("hidden"))
    #expect(relativeError(output, try reference.tensor("output")) < 1e-5)
    #expect(weights.unused.isEmpty)
    let values = try #require(config.json.object)
    #expect(try UNetConfig(ConfigurationFile(file: "written", values: values)) == config)
  }

  @Test(arguments: ["vae-plain", "vae-relu"]) func `an autoencoder with other settings gives the same values`(
    name: String
  ) throws {
    let folder = Fixtures.path("variants/\(name)")
    let reference = try SafetensorsFile(folder + "/reference.safetensors")
    let weights = try Reference.weights(folder + "/diffusion_pytorch_model.safetensors")
    let config = try AutoencoderConfig(ConfigurationFile(path: folder + "/config.json"))
    let vae = try AutoencoderKL(config, weights)
    let mean = try reference.tensor("mean")
    #expect(relativeError(vae.encode(try reference.tensor("images")).mean, mean) < 1e-5)
    #expect(relativeError(vae.decode(mean), try reference.tensor("decoded")) < 1e-5)
    #expect(weights.unused.isEmpty)
    let values = try #require(config.json.object)
    #expect(try AutoencoderConfig(ConfigurationFile(file: "written", values: values)) == config)
  }
}
