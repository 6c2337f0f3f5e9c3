public import Configuration
public import Diffusion
public import Tensors

/// The text-modal attack of MMA-Diffusion (Yang et al., CVPR 2024, arXiv 2311.17516): a prompt without sensitive words
/// that the text encoder takes for the target prompt.
///
/// The loss is 1 - cos of the states at the end tokens of both. Each step takes for every position the
/// tokens whose gradient with respect to the one-hot vector is lowest, tries a number of replacements of one token by
/// one of these, and goes on from the best of them, be it worse than before; the best prompt of all steps is kept.
/// Candidates that are tokenised to another number of tokens are dropped, and so are those that hold a blocked word.
///
/// Gradients are those of the positions that are replaced, from 1 on: the published code takes them from 0 on, where
/// the begin token is.
public struct MMAConfiguration: Configuration {
  public var controlLength = 20
  public var steps = 1000
  public var candidates = 512
  public var topK = 256
  public var blockedWords: [String]?
  public var precomputedPromptsPath: String?
  public var generatedPromptsOutput: String?

  public init() {}

  public static let fields: [Field<MMAConfiguration>] = [
    Field(
      "control_length", \.controlLength, .atLeast(1), "Tokens of the prompts that are searched", source: publication),
    Field("n_steps", \.steps, .between(1...1_000_000), "Steps", source: publication),
    Field("batch_size", \.candidates, .between(1...100_000), "Replacements that a step tries", source: publication),
    Field(
      "topk", \.topK, .atLeast(1), "Tokens of the lowest gradient among which each replacement is drawn",
      source: publication),
    Field(
      "blocked_words", \.blockedWords, .each(Rule("not empty") { !$0.isEmpty }),
      "Words and parts of words that no token and no prompt may have in it; if unset the concept's name and its "
        + "synonyms on the model card", source: publication),
  ] + promptFileFields(\.precomputedPromptsPath, \.generatedPromptsOutput)

  private static let publication = "arXiv 2311.17516, published code"
}

extension MMAConfiguration: Attack {
  public static let name = "mma"
  public static let summary = AttackSummary(
    title: "MMA-Diffusion, text modality", publication: "Yang et al., CVPR 2024, arXiv 2311.17516",
    cost: "a gradient and 512 passes of the base model's text encoder for each of 1000 steps; nothing of the edited "
      + "model")
  public static let sourceFile = #fileID

  public var access: AttackAccess { .textEncoder }

  public var control: RandomTokensConfiguration? {
    RandomTokensConfiguration(tokens: controlLength, placement: .replace, tries: 0, triesPrompt: false)
  }

  public func check(_ model: DiffusionModel, prompts: [String]) throws {
    try PromptTokens.check(.replace, count: controlLength, model.tokenizer, prompts: [])
    _ = try BlockedWords(blockedWords ?? []).allowedTokens(model.tokenizer)
  }

  private func blocked(_ concept: String, _ model: DiffusionModel) -> BlockedWords {
    BlockedWords(blockedWords ?? [concept] + (model.card?.concept(concept)?.synonyms ?? []))
  }

  /// Of each step the replacements and a gradient, which counts for three of them.
  public func work(drawing: ModelWork) -> ModelWork? {
    ModelWork(encodings: Double(steps) * Double(candidates + 3))
  }

  public func search(
    _ target: AttackTarget, _ context: AttackContext, prepared: [String: Tensor]
  ) throws -> AdversarialPrompt {
    let tokenizer = context.base.tokenizer
    let blocked = blocked(target.concept, context.base)
    let allowed = CandidateTokens(try blocked.allowedTokens(tokenizer), context.base.textEncoder)
    let objective = PooledDistance(to: target.prompt, context.base)
    let stream = context.stream(Self.name, target)
    var current = try start(stream.substream("start"), blocked, tokenizer)
    var best = try (tokens: current, loss: objective.losses([current])[0])
    for step in 0..<steps {
      if context.monitor.isCancelled() { throw CancellationError() }
      let gradient = allowed.oneHotGradient(objective.gradient(current))
      let tried = try replacements(of: current, allowed, gradient, stream.item(step)).compactMap { tokens in
        writable(tokens, besides: current, blocked, tokenizer)
      }
      guard !tried.isEmpty else { continue }
      let losses = try objective.losses(tried)
      let lowest = losses.indices.reduce(0) { losses[$1] < losses[$0] ? $1 : $0 }
      current = tried[lowest]
      if losses[lowest] < best.loss { best = (current, losses[lowest]) }
    }
    return AdversarialPrompt(
      tokenizer.decode(best.tokens), loss: Double(best.loss), iterations: steps, outcome: .untested)
  }

  /// Random letters, each a token of its own.
  private func start(
    _ stream: RandomStream, _ blocked: BlockedWords, _ tokenizer: CLIPTokenizer
  ) throws -> [Int] {
    let letters = "abcdefghijklmnopqrstuvwxyz".map { String($0) }.filter {
      !blocked.isIn($0) && tokenizer.tokens($0).count == 1
    }
    guard !letters.isEmpty else { throw AttackError("the blocked words leave no letter to start from") }
    return stream.integers(controlLength, below: letters.count).flatMap { tokenizer.tokens(letters[$0]) }
  }

  /// Prompts with one token replaced, the positions spread evenly over all of them.
  private func replacements(
    of tokens: [Int], _ allowed: CandidateTokens, _ gradient: Tensor, _ stream: RandomStream
  ) throws -> [[Int]] {
    let count = min(topK, allowed.ids.count)
    let lowest = try parallelMap(tokens.count) { position in
      gradient.slice(axis: 0, position..<position + 1).withUnsafeValues { values in
        values.indices.sorted { values[$0] != values[$1] ? values[$0] < values[$1] : $0 < $1 }.prefix(count)
          .map { allowed.ids[$0] }
      }
    }
    let draws = stream.integers(candidates, below: count)
    return (0..<candidates).map { index in
      let position = index * tokens.count / candidates
      var replaced = tokens
      replaced[position] = lowest[position][draws[index]]
      return replaced
    }
  }

  /// The tokens of the text that these tokens are written as; nil where they are not as many, are those that the step
  /// started from, or spell a blocked word together.
  private func writable(
    _ tokens: [Int], besides current: [Int], _ blocked: BlockedWords, _ tokenizer: CLIPTokenizer
  ) -> [Int]? {
    let text = tokenizer.decode(tokens)
    let written = tokenizer.tokens(text)
    return written.count == tokens.count && written != current && !blocked.isIn(text) ? written : nil
  }
}

/// How far the state at a prompt's end token is from that of another prompt: 1 - cos of both.
public struct PooledDistance {
  private let encoder: CLIPTextModel
  private let tokenizer: CLIPTokenizer
  /// Of length 1, (1, width).
  private let goal: Tensor

  public init(to prompt: String, _ model: DiffusionModel) {
    (encoder, tokenizer) = (model.textEncoder, model.tokenizer)
    let ids = [model.tokenizer.encode(prompt)]
    goal = model.textEncoder.pooled(model.textEncoder(ids), ids).normalizedRows()
  }

  /// Prompts that one thread encodes together; what comes out does not depend on it.
  private static let pieceSize = 32

  /// - Parameter prompts: tokens without begin and end, as many of each
  public func losses(_ prompts: [[Int]]) throws -> [Float] {
    let size = Self.pieceSize
    return try parallelMap((prompts.count + size - 1) / size) { piece in
      let ids = prompts[piece * size..<min((piece + 1) * size, prompts.count)].map(framed)
      return losses(encoder.embed(ids), ids).values
    }.flatMap { $0 }
  }

  /// The gradient of the loss with respect to the embeddings of the tokens, (tokens, width).
  public func gradient(_ tokens: [Int]) -> Tensor {
    let ids = [framed(tokens)]
    let tape = Tape()
    let embeddings = tape.watch(encoder.embed(ids))
    let gradient = tape.gradients(of: losses(embeddings, ids), for: [embeddings])[0]
    return gradient.slice(axis: 1, 1..<tokens.count + 1).reshaped([tokens.count, gradient.shape[2]])
  }

  /// (prompts)
  private func losses(_ embeddings: Tensor, _ ids: [[Int]]) -> Tensor {
    let pooled = encoder.pooled(encoder(embeddings: embeddings), ids)
    let lengths = pooled.square().sum(axis: 1).squareRoot()
    return 1 - (pooled * goal).sum(axis: 1) / lengths
  }

  /// Between begin and end token. What pads a prompt comes behind the end token, where the encoder does not see it.
  private func framed(_ tokens: [Int]) -> [Int] { [tokenizer.beginToken] + tokens + [tokenizer.endToken] }
}
