public import Configuration
public import Diffusion
public import Tensors

/// UnlearnDiffAtk (Zhang et al., ECCV 2024, arXiv 2310.11868): tokens among those of a prompt with which an edited
/// model predicts the noise in an image of the concept, so that the diffusion model is its own classifier.
///
/// The loss is ‖ε - ε_θ(x_t, c, t)‖², with a new ε at each iteration; x_0 is an image that the base model
/// draws to the prompt. The text that is drawn is that of the likeliest tokens, tokenised anew. Special tokens are no
/// candidates: a text cannot hold them. A prompt too long for the tokens beside it is refused; the published code
/// leaves prompts of more than 60 tokens out.
public struct UnlearnDiffConfiguration: Configuration {
  public var tokens = 5
  public var placement = TokenPlacement.prefix
  public var stages = AttackStages()
  public var learningRate = 0.01
  public var weightDecay = 0.1
  public var randomStart = false
  public var precomputedPromptsPath: String?
  public var generatedPromptsOutput: String?

  public init() {}

  public static let fields: [Field<UnlearnDiffConfiguration>] = [
    Field(
      "tokens", \.tokens, .atLeast(1),
      "The number of tokens that are searched: 5 for nudity, 3 for styles and objects in the publication; with "
        + "every_third the prompt decides",
      source: AttackStages.seedDocument),
    Field("placement", \.placement, "Where they stand", source: publication),
  ] + AttackStages.fields.map { $0.inside(\.stages) } + [
    Field("lr", \.learningRate, .greaterThan(0), "Learning rate of Adam", source: AttackStages.seedDocument),
    Field(
      "weight_decay", \.weightDecay, .atLeast(0), "Adam's weight decay, a part of the gradient",
      source: AttackStages.seedDocument),
    Field(
      "rand_init", \.randomStart, "Start from random probabilities, not from equal ones", source: publication),
  ] + promptFileFields(\.precomputedPromptsPath, \.generatedPromptsOutput)

  private static let publication = "arXiv 2310.11868, published code"
}

extension UnlearnDiffConfiguration: Attack {
  public static let name = "unlearn_diff"
  public static let summary = AttackSummary(
    title: "UnlearnDiffAtk", publication: "Zhang et al., ECCV 2024, arXiv 2310.11868",
    cost: "iterations forward and backward through the edited model at each of ten timesteps, and an image after each")
  public static let sourceFile = #fileID

  public var access: AttackAccess { .editedModel }

  public var control: RandomTokensConfiguration? {
    RandomTokensConfiguration(tokens: tokens, placement: placement, tries: stages.count, triesPrompt: true)
  }

  public func check(_ model: DiffusionModel, prompts: [String]) throws {
    try PromptTokens.check(placement, count: tokens, model.tokenizer, prompts: prompts)
  }

  public func work(drawing: ModelWork) -> ModelWork? {
    stages.work(drawing: drawing, iteration: .textGradients(1))
  }

  public func search(
    _ target: AttackTarget, _ context: AttackContext, prepared: [String: Tensor]
  ) throws -> AdversarialPrompt {
    let model = context.attacked
    let place = try PromptTokens(target.prompt, placement, count: tokens, model.tokenizer)
    let objective = try TokenObjective(place, context)
    let candidates = CandidateTokens(model)
    let stream = context.stream(Self.name, target)
    let shape = [place.positions.count, candidates.ids.count]
    let start =
      randomStart
      ? Tensor(stream.substream("start").uniform(shape[0] * shape[1]), shape: shape)
      : Tensor.full(1 / Float(shape[1]), shape)
    let distribution = TokenDistribution(start, learningRate: learningRate, weightDecay: weightDecay)
    return try stages.search(target, context, stream) { sample in
      let drawn = distribution.sample(sample.stream.substream("tokens"))
      let (loss, gradient) = objective.gradient(
        candidates.embeddings(at: drawn), latent: sample.latent, timestep: sample.timestep, toward: sample.noise)
      distribution.step(candidates.oneHotGradient(gradient))
      return loss
    } text: {
      model.tokenizer.decode(place.filled(with: distribution.mostProbable.map { candidates.ids[$0] }))
    }
  }
}
