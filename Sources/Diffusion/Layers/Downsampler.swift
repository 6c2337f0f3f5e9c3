internal import Tensors

/// A convolution of stride 2. With padding 0 the map gets one zero row below and one zero column at the right, as the
/// autoencoder of latent diffusion has it.
struct Downsampler {
  let convolution: Conv2d

  init(_ weights: Weights, channels: Int, padding: Int) throws {
    convolution = try Conv2d(
      weights.scope("conv"), inputs: channels, outputs: channels, stride: 2, padding: padding)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    convolution(convolution.padding == 0 ? x.paddedAtEnd(1) : x)
  }
}
