public import Tensors

/// The autoencoder of a latent diffusion model (Rombach et al., 2022, section 3.1).
///
/// Everything it computes is differentiable with respect to whatever is tracked.
public struct AutoencoderKL {
  /// A normal distribution of latents with a diagonal covariance.
  public struct Posterior {
    /// (batch, latent channels, height, width)
    public let mean: Tensor
    /// The logarithm of the variance, within -30 ... 20 as diffusers limits it.
    public let logVariance: Tensor

    /// A draw, from standard normal `noise` of the same shape.
    public func sample(noise: Tensor) -> Tensor {
      mean + (logVariance * 0.5).exp() * noise
    }
  }

  public let config: AutoencoderConfig
  private let encoder: AutoencoderEncoder
  private let decoder: AutoencoderDecoder
  private let quantConv: Conv2d?
  private let postQuantConv: Conv2d?

  public init(_ config: AutoencoderConfig, _ weights: Weights) throws {
    self.config = config
    encoder = try AutoencoderEncoder(weights.scope("encoder"), config)
    decoder = try AutoencoderDecoder(weights.scope("decoder"), config)
    func pointwise(_ name: String, _ channels: Int) throws -> Conv2d {
      try Conv2d(weights.scope(name), inputs: channels, outputs: channels, kernel: 1, padding: 0)
    }
    quantConv = config.usesQuantConv ? try pointwise("quant_conv", 2 * config.latentChannels) : nil
    postQuantConv = config.usesPostQuantConv ? try pointwise("post_quant_conv", config.latentChannels) : nil
  }

  /// Images (batch, 3, height, width) in [-1, 1] to the distribution of their latents, not scaled.
  ///
  /// Height and width are multiples of ``AutoencoderConfig/reduction``.
  public func encode(_ images: Tensor) -> Posterior {
    let moments = encoder(images)
    let quantized = quantConv?(moments) ?? moments
    let channels = config.latentChannels
    return Posterior(
      mean: quantized.slice(axis: 1, 0..<channels),
      logVariance: quantized.slice(axis: 1, channels..<2 * channels).clamped(-30...20))
  }

  /// Latents of this autoencoder (not scaled) to images (batch, 3, height, width), roughly in [-1, 1].
  public func decode(_ latents: Tensor) -> Tensor {
    decoder(postQuantConv?(latents) ?? latents)
  }

  /// Latents as the diffusion model has them, from latents of the autoencoder.
  public func scaled(_ latents: Tensor) -> Tensor {
    config.scalingFactor == 1 ? latents : latents * Float(config.scalingFactor)
  }

  /// Images from latents as the diffusion model has them.
  public func decode(scaled latents: Tensor) -> Tensor {
    decode(config.scalingFactor == 1 ? latents : latents * Float(1 / config.scalingFactor))
  }
}
