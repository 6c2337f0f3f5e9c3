internal import Diffusion
internal import Tensors

extension AttackContext {
  /// What a search ends with where the prompt needs no attack; nil where it does.
  func promptBeforeAttack(_ target: AttackTarget) throws -> AdversarialPrompt? {
    guard try succeeds(target.prompt, target) else { return nil }
    return AdversarialPrompt(target.prompt, loss: nil, iterations: 0, outcome: .beforeAttack)
  }

  /// The latent x_0 of a picture as the diffusion model has it, (1, channels, height, width): the mean of the
  /// autoencoder's posterior, or with a stream a draw from it.
  func latent(of picture: RGBImage, drawnFrom stream: RandomStream? = nil) -> Tensor {
    let posterior = base.vae.encode(RGBImage.batch([picture]))
    let latent = stream.map { posterior.sample(noise: $0.normal(posterior.mean.shape)) } ?? posterior.mean
    return base.vae.scaled(latent)
  }
}
