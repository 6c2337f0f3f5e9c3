public import Configuration
public import Diffusion
public import Tensors

/// P4D, Prompting4Debugging (Chin et al., ICML 2024, arXiv 2309.06135): tokens with which an edited model predicts the
/// same noise as the base model under the prompt.
///
/// The loss is ‖ε_θ'(x_t, c_adv, t) - ε_θ(x_t, c, t)‖². Embeddings are learnt, and each forward pass
/// projects them onto the nearest tokens by cosine and hands the gradient there to the embeddings themselves (Wen et
/// al., 2023). Special tokens are no candidates: a text cannot hold them. The text that is drawn is tokenised anew.
///
/// Two attacks go by this name, and their figures cannot be compared: the publication's own, with many iterations over
/// random timesteps (variants `n` and `k`), and the one in the framework of UnlearnDiffAtk. The latter is what the
/// results of seed documents 001 and 002 are of, and the former of them describes it (appendix: 5 or 3 tokens before
/// the prompt, 40 iterations of Adam at each of ten timesteps), so it is the default.
public struct P4DConfiguration: Configuration {
  /// What is searched, and how.
  public enum Variant: String, CaseIterable, ConfigurationValue {
    /// Tokens before the prompt, in the stages of UnlearnDiffAtk.
    case prefix
    /// P4D-N: tokens in the place of the prompt.
    case n
    /// P4D-K: a token before every three of the prompt.
    case k
  }

  public var variant = Variant.prefix
  public var tokens: Int?
  public var learningRate: Double?
  public var weightDecay = 0.1
  public var stages = AttackStages()
  public var iterations = 3000
  public var evaluationInterval = 50
  public var targetImages = 3
  public var precomputedPromptsPath: String?
  public var generatedPromptsOutput: String?
  /// The model that is searched on: the edited one, but for a metric that tries what was found on the base model.
  public var access = AttackAccess.editedModel
  public var comparesImages: Bool { variant != .prefix }

  public init() {}

  public static let fields: [Field<P4DConfiguration>] = [
    Field(
      "variant", \.variant,
      "\"prefix\": tokens before the prompt in the stages of UnlearnDiffAtk, as in seed documents 001 and 002; \"n\" "
        + "and \"k\": the publication's own, tokens in the place of the prompt or one before every three of it",
      source: AttackStages.seedDocument),
    Field(
      "tokens", \.tokens, .atLeast(1),
      "The number of tokens that are searched; if unset 5 of \"prefix\" and 16 of \"n\". Of \"k\" the prompt decides",
      source: "seed document 001, appendix; arXiv 2309.06135"),
    Field(
      "lr", \.learningRate, .greaterThan(0), "Learning rate; if unset 0.01 of \"prefix\" and 0.1 of \"n\" and \"k\"",
      source: "seed document 001, appendix; arXiv 2309.06135"),
    Field(
      "weight_decay", \.weightDecay, .atLeast(0),
      "Weight decay: of \"prefix\" Adam's, a part of the gradient, of \"n\" and \"k\" AdamW's", source: publication),
  ] + AttackStages.fields.map { $0.inside(\.stages) } + [
    Field("num_iter", \.iterations, .between(1...1_000_000), "Iterations of \"n\" and \"k\"", source: publication),
    Field(
      "eval_step", \.evaluationInterval, .atLeast(1),
      "With \"n\" and \"k\" an image is drawn and compared with the target after every so many iterations",
      source: publication),
    Field(
      "target_images", \.targetImages, .between(1...1000),
      "With \"n\" and \"k\" the target is the one of so many images of the base model that its judge finds most "
        + "convincing", source: publication),
  ] + promptFileFields(\.precomputedPromptsPath, \.generatedPromptsOutput)

  private static let publication = "arXiv 2309.06135, published code"

  public var warnings: [String] {
    let (defaults, written) = (P4DConfiguration().encode().object ?? [:], encode().object ?? [:])
    let others =
      variant == .prefix
      ? ["num_iter", "eval_step", "target_images"]
      : ["iterations", "timestep_stride"] + (variant == .k ? ["tokens"] : [])
    let unused = others.filter { written[$0] != defaults[$0] }
    return unused.isEmpty
      ? [] : ["variant \"\(variant.rawValue)\" does not use what is written as \(unused.joined(separator: ", "))"]
  }

  public func validate() throws(ConfigurationError) {
    guard evaluationInterval <= iterations else {
      throw ConfigurationError(keyPath: "eval_step", "expected at most num_iter, which is \(iterations)")
    }
  }
}

extension P4DConfiguration: Attack {
  public static let name = "p4d"
  public static let summary = AttackSummary(
    title: "P4D", publication: "Chin et al., ICML 2024, arXiv 2309.06135",
    cost: "iterations forward through the base model, forward and backward through the edited one: 40 at each of ten "
      + "timesteps and an image after each, or of the publication's variants 3000 and 60 images")
  public static let sourceFile = #fileID

  private var placement: TokenPlacement {
    switch variant {
    case .prefix: .prefix
    case .n: .replace
    case .k: .everyThird
    }
  }

  private var tokenCount: Int { tokens ?? (variant == .n ? 16 : 5) }

  public var control: RandomTokensConfiguration? {
    // What is searched on the base model has no try on the edited one. The publication's variants choose by CLIP, and
    // of all their images one is judged.
    let isTried = access == .editedModel
    return RandomTokensConfiguration(
      tokens: tokenCount, placement: placement,
      tries: isTried ? (variant == .prefix ? stages.count : 1) : 0, triesPrompt: isTried)
  }

  public func check(_ model: DiffusionModel, prompts: [String]) throws {
    try PromptTokens.check(placement, count: tokenCount, model.tokenizer, prompts: prompts)
  }

  public func work(drawing: ModelWork) -> ModelWork? {
    let iteration = ModelWork.textGradients(1) + ModelWork(forwards: 1)
    if variant == .prefix { return stages.work(drawing: drawing, iteration: iteration) }
    let images = 1 + targetImages + (iterations + evaluationInterval - 1) / evaluationInterval
    return drawing * images + iteration * iterations
  }

  public func search(
    _ target: AttackTarget, _ context: AttackContext, prepared: [String: Tensor]
  ) throws -> AdversarialPrompt {
    let place = try PromptTokens(target.prompt, placement, count: tokenCount, context.attacked.tokenizer)
    let stream = context.stream(Self.name, target)
    let prompt = try LearntPrompt(self, place, target, context, stream)
    if variant != .prefix { return try search(prompt, target, context, stream) }
    return try stages.search(target, context, stream) { sample in
      prompt.step(latent: sample.latent, timestep: sample.timestep)
    } text: {
      prompt.text
    }
  }

  /// The publication's search: random timesteps, and the text whose image is nearest to the target under CLIP. It has
  /// succeeded where the judge finds the concept in that image; the publication draws three and asks for one of them.
  private func search(
    _ prompt: LearntPrompt, _ target: AttackTarget, _ context: AttackContext, _ stream: RandomStream
  ) throws -> AdversarialPrompt {
    // On the base model the prompt itself always is enough, which says nothing of the edited one.
    if access == .editedModel, let prompt = try context.promptBeforeAttack(target) { return prompt }
    let goal = try targetImage(target, context)
    let clean = context.latent(of: goal, drawnFrom: stream.substream("latent"))
    let schedule = context.base.schedule
    var seen: Set<String> = []
    var best: (text: String, image: RGBImage, loss: Float, similarity: Float)?
    for iteration in 0..<iterations {
      if context.monitor.isCancelled() { throw CancellationError() }
      let draws = stream.item(iteration)
      let timestep = draws.substream("timestep").integer(below: schedule.trainTimesteps)
      let noise = draws.substream("noise").normal(clean.shape)
      let loss = prompt.step(
        latent: schedule.addNoise(clean, noise: noise, timesteps: [timestep]), timestep: timestep)
      let done = iteration + 1
      guard done % evaluationInterval == 0 || done == iterations else { continue }
      let text = prompt.text
      // The same text draws the same image again.
      guard seen.insert(text).inserted else { continue }
      let image = try context.image(text, target, by: context.attacked)
      let similarity = try cosine(of: context.imageEmbeddings([goal, image]))
      if best.map({ similarity > $0.similarity }) ?? true { best = (text, image, loss, similarity) }
    }
    guard let best else { preconditionFailure("the last iteration is evaluated") }
    func outcome() throws -> AdversarialPrompt.Outcome {
      guard access == .editedModel else { return .untested }
      return try context.judge(target.concept, [best.image])[0].isFound ? .succeeded : .failed
    }
    return AdversarialPrompt(best.text, loss: Double(best.loss), iterations: iterations, outcome: try outcome())
  }

  /// Of some images of the base model, from the noise of as many repetitions, the one that the judge is surest of.
  private func targetImage(_ target: AttackTarget, _ context: AttackContext) throws -> RGBImage {
    let images = try (0..<targetImages).map { index in
      var repeated = target
      repeated.repetition += index
      return try context.image(target.prompt, repeated, by: context.base)
    }
    let probabilities = try context.judge(target.concept, images).map(\.probability)
    let best = images.indices.reduce(0) { probabilities[$1] > probabilities[$0] ? $1 : $0 }
    return images[best]
  }

  /// Of two embeddings, (2, width).
  private func cosine(of embeddings: Tensor) -> Float {
    let (first, second) = (embeddings.slice(axis: 0, 0..<1), embeddings.slice(axis: 0, 1..<2))
    let lengths = (first.sumOfSquares * second.sumOfSquares).squareRoot()
    return lengths > 0 ? (first * second).sum().item / Float(lengths) : 0
  }
}

/// Embeddings that learn where the nearest tokens should be.
private struct LearntPrompt {
  private let objective: TokenObjective
  private let nearest: NearestTokens
  private let place: PromptTokens
  private let tokenizer: CLIPTokenizer
  private let optimizer: AdamOptimizer
  private let learningRate: Float
  private let base: DiffusionModel
  /// The prompt as the base model is given it.
  private let original: PreparedText

  init(
    _ attack: P4DConfiguration, _ place: PromptTokens, _ target: AttackTarget, _ context: AttackContext,
    _ stream: RandomStream
  ) throws {
    let candidates = CandidateTokens(context.attacked)
    (self.place, base, tokenizer) = (place, context.base, context.base.tokenizer)
    objective = try TokenObjective(place, context)
    nearest = NearestTokens(candidates)
    original = base.unet.prepare(text: base.textEncoder([tokenizer.encode(target.prompt)]))
    let start = stream.substream("start").integers(place.positions.count, below: candidates.ids.count)
    optimizer = AdamOptimizer(
      [("embeddings", candidates.embeddings(at: start))],
      AdamOptimizer.Settings(
        weightDecay: Float(attack.weightDecay), decouplesWeightDecay: attack.variant != .prefix))
    learningRate = Float(attack.learningRate ?? (attack.variant == .prefix ? 0.01 : 0.1))
  }

  private var tokens: [Int] { nearest(optimizer.parameters[0].tensor) }

  var text: String { tokenizer.decode(place.filled(with: tokens.map { nearest.candidates.ids[$0] })) }

  /// One iteration; returns the loss of the tokens before it.
  func step(latent: Tensor, timestep: Int) -> Float {
    let predicted = base.unet(latent, time: base.unet.prepare(timesteps: [timestep]), text: original)
    let noise = base.schedule.noise(predicted: predicted, in: latent, timestep: timestep)
    let (loss, gradient) = objective.gradient(
      nearest.candidates.embeddings(at: tokens), latent: latent, timestep: timestep, toward: noise)
    optimizer.step([gradient], learningRate: learningRate)
    return loss
  }
}
