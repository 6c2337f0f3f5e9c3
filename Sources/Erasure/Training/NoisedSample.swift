public import Diffusion
public import Tensors

/// A training sample of diffusion: one of some clean latents, noised forward to a timestep uniform over the training
/// timesteps.
public struct NoisedSample {
  /// Which of the clean latents.
  public let image: Int
  public let timestep: Int
  /// Standard normal, (1, channels, height, width).
  public let noise: Tensor
  /// x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε
  public let latent: Tensor

  /// - Parameters:
  ///   - latents: (count, channels, height, width), as the diffusion model has them
  ///   - stream: the random numbers of this sample alone
  public init(_ latents: Tensor, _ schedule: NoiseSchedule, _ stream: RandomStream) {
    let image = Self.image(of: latents.shape[0], stream)
    self.init(latents.slice(axis: 0, image..<image + 1), ofImage: image, schedule, stream)
  }

  /// Which of so many images a sample is of.
  static func image(of count: Int, _ stream: RandomStream) -> Int {
    stream.substream("image").integer(below: count)
  }

  /// - Parameter clean: the latent of that image, (1, channels, height, width)
  init(_ clean: Tensor, ofImage image: Int, _ schedule: NoiseSchedule, _ stream: RandomStream) {
    self.image = image
    timestep = stream.substream("timestep").integer(below: schedule.trainTimesteps)
    noise = stream.substream("noise").normal(clean.shape)
    latent = schedule.addNoise(clean, noise: noise, timesteps: [timestep])
  }
}
