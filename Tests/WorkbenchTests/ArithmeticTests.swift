import Configuration
import Diffusion
import Tensors
import TestSupport
import Testing
import Workbench

/// The operations are those that `torch.utils.flop_counter.FlopCounterMode` counts in diffusers 0.42.
@Suite("Arithmetic of a forward pass")
struct ArithmeticTests {
  @Test("the operations of Stable Diffusion's parts are those that PyTorch counts")
  func stableDiffusion() {
    let unet = UNetConfig()
    #expect(unet.arithmetic(batch: 1, height: 64, width: 64).operations == 803_273_441_280)
    #expect(unet.arithmetic(batch: 2, height: 64, width: 64).operations == 1_606_546_882_560)
    let vae = AutoencoderConfig()
    #expect(vae.decoderArithmetic(batch: 1, height: 64, width: 64).operations == 2_514_518_933_504)
    #expect(vae.encoderArithmetic(batch: 1, height: 512, width: 512).operations == 1_116_658_466_816)
    var tower = CLIPTowerConfig(hiddenSize: 768, intermediateSize: 3072, layers: 12, heads: 12, projectionSize: 768)
    tower.activation = .quickGELU
    let text = CLIPTextConfig(
      tower: tower, vocabularySize: 49408, maxPositions: 77, beginToken: 0, endToken: 2, padToken: 1)
    #expect(text.arithmetic(prompts: 1).operations == 13_298_503_680)
  }

  @Test("the settings of a folder decide the operations")
  func tiny() throws {
    let folder = Fixtures.path("tiny-diffusers")
    let unet = try UNetConfig(ConfigurationFile(path: folder + "/unet/config.json"))
    #expect(unet.arithmetic(batch: 2, height: 8, width: 8).operations == 15_864_064)
    let vae = try AutoencoderConfig(ConfigurationFile(path: folder + "/vae/config.json"))
    #expect(vae.decoderArithmetic(batch: 1, height: 8, width: 8).operations == 19_859_456)
    #expect(vae.encoderArithmetic(batch: 1, height: 64, width: 64).operations == 46_997_504)
  }

  @Test("every weight of a UNet is counted once, but for the biases that queries, keys and values do not have")
  func parameters() throws {
    let folder = Fixtures.path("tiny-diffusers")
    let config = try UNetConfig(ConfigurationFile(path: folder + "/unet/config.json"))
    let layers = config.arithmetic(batch: 1, height: 8, width: 8).layers
    let counted = layers.reduce(0) { $0 + $1.operation.parameters }
    let withoutBias = layers.reduce(0) { sum, layer in
      guard case .linear(_, _, _, let outputs) = layer.operation, layer.name.contains(".to_"),
        !layer.name.hasSuffix("to_out.0")
      else { return sum }
      return sum + outputs
    }
    let weights = try UNet2DConditionModel.read(folder: folder).weights
    #expect(counted - withoutBias == weights.parameterCount)
    let names = Set(weights.names.map { $0.split(separator: ".").dropLast().joined(separator: ".") })
    #expect(names.subtracting(layers.map(\.name)).isEmpty)
  }

  @Test("bytes are weights and inputs read once and results written once")
  func bytes() {
    let convolution = LayerOperation.convolution(
      batch: 2, inputs: 3, outputs: 5, kernel: 3, stride: 2, height: 8, width: 6)
    #expect(convolution.bytes == 4 * (5 * 28 + 2 * 3 * 48 + 2 * 5 * 12))
    #expect(convolution.operations == 2 * 2 * 5 * 27 * 12)
    let attention = LayerOperation.attention(batch: 1, targets: 6, sources: 4, width: 8, heads: 2)
    #expect(attention.bytes == 4 * 8 * (6 + 6 + 4 + 4))
  }
}
