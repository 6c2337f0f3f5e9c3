internal import Configuration
public import Diffusion
public import Tensors

/// Textual inversion (Gal et al., 2023, arXiv 2208.01618): embeddings of new tokens that make a frozen model draw what
/// some images show, learnt with the denoising loss.
public struct TextualInversion {
  /// How many new tokens stand for the concept.
  public var tokens: Int
  public var steps: Int
  public var learningRate: Double
  public var seed: UInt64

  public init(tokens: Int, steps: Int, learningRate: Double, seed: UInt64) {
    self.tokens = tokens
    self.steps = steps
    self.learningRate = learningRate
    self.seed = seed
  }

  /// The deviation that the embeddings start with, about that of CLIP's own.
  private static let startingDeviation: Float = 0.017

  /// Learns the embeddings.
  ///
  /// - Parameters:
  ///   - latents: the images, (count, channels, height, width), as the diffusion model has them; image i is of prompt i
  ///     modulo their number
  ///   - prompts: prompts that name the concept, in whose place the new tokens come
  /// - Returns: (tokens, width)
  public func embeddings(
    _ context: EditContext, latents: Tensor, prompts: [String], concept: String
  ) throws -> Tensor {
    let model = context.model
    let templates = try prompts.map { try PromptTemplate($0, concept: concept, tokens: tokens, model) }
    let stream = RandomStream(seed: seed, "textual inversion")
    let start = stream.substream("start").normal([tokens, templates[0].width]) * Self.startingDeviation
    let training = FineTuning(steps: steps, learningRate: learningRate)
    let result = try training.run(context, start: ["embeddings": start], prepare: { _, _ in }) { step, _, _, tensors in
      let sample = NoisedSample(latents, model.schedule, stream.item(step))
      guard let embeddings = tensors["embeddings"] else { preconditionFailure("embeddings without a tape") }
      let states = model.textEncoder(embeddings: templates[sample.image % templates.count].filled(with: embeddings))
      let predicted = model.unet(sample.latent, timesteps: [sample.timestep], encoderHiddenStates: states)
      return mseLoss(
        model.schedule.noise(predicted: predicted, in: sample.latent, timestep: sample.timestep), sample.noise)
    }
    return result.tensors["embeddings"] ?? start
  }
}

/// A prompt with room for new tokens where it names a concept.
public struct PromptTemplate {
  /// The token embeddings of the prompt, (1, positions, width); those of the room are to be replaced.
  private let embeddings: Tensor
  /// Where the new tokens come, each range as long as there are tokens.
  public let room: [Range<Int>]
  /// The positions of end token and padding.
  public let ending: Range<Int>

  /// - Throws: ``ErasureError`` where the prompt does not name the concept, or has no room for the tokens.
  public init(_ prompt: String, concept: String, tokens: Int, _ model: DiffusionModel) throws {
    let (tokenizer, length) = (model.tokenizer, model.tokenizer.modelMaxLength)
    let named = try conceptPositions(of: concept, in: prompt, tokenizer)
    let text = tokenizer.tokens(prompt)
    var (ids, next, room) = ([tokenizer.beginToken], 0, [Range<Int>]())
    for range in named {
      // Positions count the begin token, places in the text do not.
      ids += text[next..<range.lowerBound - 1]
      room.append(ids.count..<ids.count + tokens)
      ids += Array(repeating: tokenizer.endToken, count: tokens)
      next = range.upperBound - 1
    }
    ids += text[next...]
    guard ids.count < length else {
      throw ErasureError("the prompt \"\(prompt)\" has no room for \(tokens) tokens among \(length) positions")
    }
    self.room = room
    ending = ids.count..<length
    ids.append(tokenizer.endToken)
    ids += Array(repeating: tokenizer.padToken, count: length - ids.count)
    embeddings = model.textEncoder.embed([ids])
  }

  /// Of the embeddings.
  public var width: Int { embeddings.shape[2] }

  /// The token embeddings with new tokens, (tokens, width), in their room: (1, positions, width).
  public func filled(with tokens: Tensor) -> Tensor {
    let tokens = tokens.reshaped([1] + tokens.shape)
    var (pieces, next) = ([Tensor](), 0)
    for range in room {
      pieces += [embeddings.slice(axis: 1, next..<range.lowerBound), tokens]
      next = range.upperBound
    }
    return concatenate(pieces + [embeddings.slice(axis: 1, next..<embeddings.shape[1])], axis: 1)
  }
}
