internal import Diffusion
public import Tensors

/// A loss that an attack on the noise prediction minimises, as a function of the embeddings of its tokens:
/// ‖ε' - ε_θ(x_t, c, t)‖², the mean over all elements, with the attack's tokens among those of the prompt in c.
public struct TokenObjective {
  private let prediction: AttackedPrediction
  private let prompt: PromptEmbeddings

  public init(_ prompt: PromptTokens, _ context: AttackContext) throws {
    prediction = try AttackedPrediction(context.attacked, context.sampler)
    self.prompt = PromptEmbeddings(prompt, context.attacked.textEncoder)
  }

  /// The loss and its gradient with respect to the embeddings alone, (attack's positions, width).
  ///
  /// - Parameters:
  ///   - embeddings: of the attack's tokens
  ///   - latent: x_t, (1, channels, height, width)
  ///   - noise: ε', what the model should predict, of the latent's shape
  public func gradient(
    _ embeddings: Tensor, latent: Tensor, timestep: Int, toward noise: Tensor
  ) -> (loss: Float, gradient: Tensor) {
    let tape = Tape()
    let watched = tape.watch(embeddings)
    let states = prediction.model.textEncoder(embeddings: prompt.filled(with: watched))
    let loss = mseLoss(prediction(latent, timestep: timestep, states: states), noise)
    return (loss.item, tape.gradients(of: loss, for: [watched])[0])
  }
}
