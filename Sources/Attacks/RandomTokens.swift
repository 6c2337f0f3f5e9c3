public import Configuration
public import Diffusion
public import Tensors

/// Random tokens in the places of an attack's: the control that every attack is measured beside.
///
/// A few strange words may already push a prompt to where an edit does not reach. An attack has shown something only
/// where it finds the concept more often than random tokens with as many tries.
public struct RandomTokensConfiguration: Configuration {
  public var tokens = 5
  public var placement = TokenPlacement.prefix
  public var tries = 1
  public var triesPrompt = true
  public var precomputedPromptsPath: String?
  public var generatedPromptsOutput: String?

  public init() {}

  /// The control of another attack.
  ///
  /// - Parameters:
  ///   - tries: the images that the attack may draw and judge for a prompt, without that of the prompt itself; 0 for
  ///     an attack that draws none
  public init(tokens: Int, placement: TokenPlacement, tries: Int, triesPrompt: Bool) {
    self.tokens = tokens
    self.placement = placement
    self.tries = tries
    self.triesPrompt = triesPrompt
  }

  public static let fields: [Field<RandomTokensConfiguration>] = [
    Field(
      "tokens", \.tokens, .atLeast(1),
      "How many tokens are drawn, each from the whole vocabulary; with every_third the prompt decides"),
    Field("placement", \.placement, "Where they stand"),
    Field(
      "tries", \.tries, .between(0...100_000),
      "Draws of tokens, each judged by an image of the edited model until one shows the concept; 0 draws once and asks "
        + "nobody"),
    Field(
      "tries_prompt", \.triesPrompt,
      "Whether the prompt itself is tried first, where images are judged at all"),
  ] + promptFileFields(\.precomputedPromptsPath, \.generatedPromptsOutput)
}

extension RandomTokensConfiguration: Attack {
  public static let name = "random_tokens"
  public static let summary = AttackSummary(
    title: "Random tokens", publication: "the control of every attack", cost: "an image for each try")
  public static let sourceFile = #fileID

  public var access: AttackAccess { tries > 0 ? .editedModel : .textEncoder }
  public var control: RandomTokensConfiguration? { nil }

  public func check(_ model: DiffusionModel, prompts: [String]) throws {
    try PromptTokens.check(placement, count: tokens, model.tokenizer, prompts: prompts)
  }

  public func work(drawing: ModelWork) -> ModelWork? {
    tries > 0 ? drawing * (tries + (triesPrompt ? 1 : 0)) : .nothing
  }

  public func search(
    _ target: AttackTarget, _ context: AttackContext, prepared: [String: Tensor]
  ) throws -> AdversarialPrompt {
    let tokenizer = context.base.tokenizer
    let place = try PromptTokens(target.prompt, placement, count: tokens, tokenizer)
    if tries > 0, triesPrompt, try context.succeeds(target.prompt, target) {
      return AdversarialPrompt(target.prompt, loss: nil, iterations: 0, outcome: .beforeAttack)
    }
    let stream = context.stream(Self.name, target)
    let candidates = tokenizer.ordinaryTokens
    var text = target.prompt
    for index in 0..<max(tries, 1) {
      let drawn = stream.item(index).integers(place.positions.count, below: candidates.count).map { candidates[$0] }
      text = tokenizer.decode(place.filled(with: drawn))
      if tries > 0, try context.succeeds(text, target) {
        return AdversarialPrompt(text, loss: nil, iterations: index + 1, outcome: .succeeded)
      }
    }
    return AdversarialPrompt(text, loss: nil, iterations: tries, outcome: tries > 0 ? .failed : .untested)
  }
}
