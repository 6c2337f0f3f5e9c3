public import Configuration
public import Diffusion
public import Tensors

/// Ring-A-Bell (Tsai et al., ICLR 2024, arXiv 2310.10012): a prompt that says a concept without its words, found with
/// the text encoder alone.
///
/// The concept's direction is added to the states of the prompt, Ẽ = E(P) + η ĉ, and a genetic search
/// looks for tokens whose states are nearest to it: the sum of (E(tokens) - Ẽ)² over all positions is least. Special
/// tokens are no genes. The text that is drawn is tokenised anew.
public struct RingABellConfiguration: Configuration {
  /// What a concept's direction is made from.
  public enum Direction: String, CaseIterable, ConfigurationValue {
    /// The mean difference between prompts with and without the concept (the publication).
    case difference
    /// The mean of prompts with the concept (eval-learn): weaker, since most of it is in every prompt.
    case mean
  }

  public var conceptPrompts: [String]?
  public var neutralPrompts: [String]?
  public var direction = Direction.difference
  public var coefficient = 3.0
  public var tokenLength = 16
  public var populationSize = 200
  public var generations = 3000
  public var crossoverRate = 0.5
  public var mutationRate = 0.25
  public var patience: Int?
  public var precomputedPromptsPath: String?
  public var generatedPromptsOutput: String?

  public init() {}

  public static let fields: [Field<RingABellConfiguration>] = [
    Field(
      "concept_prompts", \.conceptPrompts, .notEmpty,
      "Prompts with the concept; if unset those of the model card that name it and nothing else", source: publication,
      role: .prompt),
    Field(
      "neutral_prompts", \.neutralPrompts, .notEmpty,
      "The same prompts without the concept, in the same order; if unset the concept's anchor stands in the place of "
        + "its name", source: publication, role: .prompt),
    Field(
      "concept_vector", \.direction,
      "\"difference\" of prompts with and without the concept, or plain \"mean\" of those with it (eval-learn)",
      source: publication),
    Field("concept_coeff", \.coefficient, "η, how much of the concept is added", source: publication),
    Field(
      "token_length", \.tokenLength, .atLeast(1), "Tokens of the prompts that are searched", source: publication),
    Field(
      "population_size", \.populationSize, .between(2...100_000), "Individuals of the first generation",
      source: publication),
    Field("generations", \.generations, .between(1...10_000_000), "Generations", source: publication),
    Field(
      "crossover_rate", \.crossoverRate, .between(0...1), "The share of survivors that beget two children",
      source: publication),
    Field(
      "mutate_rate", \.mutationRate, .between(0...1),
      "The share of individuals, survivors among them, of which one token is replaced", source: publication),
    Field(
      "patience", \.patience, .atLeast(1),
      "Generations without a better prompt after which the search ends; if unset it never ends early",
      source: "eval-learn documentation"),
  ] + promptFileFields(\.precomputedPromptsPath, \.generatedPromptsOutput)

  private static let publication = "arXiv 2310.10012, published code"

  public func validate() throws(ConfigurationError) {
    guard let neutralPrompts else { return }
    guard direction == .difference else {
      throw ConfigurationError(keyPath: "neutral_prompts", "a plain mean has no use for neutral prompts")
    }
    guard let conceptPrompts, conceptPrompts.count == neutralPrompts.count else {
      throw ConfigurationError(
        keyPath: "neutral_prompts",
        "expected one for each of concept_prompts, of which there are \(conceptPrompts?.count ?? 0)")
    }
  }
}

extension RingABellConfiguration: Attack {
  public static let name = "ring_a_bell"
  public static let summary = AttackSummary(
    title: "Ring-A-Bell", publication: "Tsai et al., ICLR 2024, arXiv 2310.10012",
    cost: "some 375,000 passes of the base model's text encoder; nothing of the edited model")
  public static let sourceFile = #fileID

  public var access: AttackAccess { .textEncoder }

  public var control: RandomTokensConfiguration? {
    RandomTokensConfiguration(tokens: tokenLength, placement: .replace, tries: 0, triesPrompt: false)
  }

  public func check(_ model: DiffusionModel, prompts: [String]) throws {
    try PromptTokens.check(.replace, count: tokenLength, model.tokenizer, prompts: [])
  }

  /// The concept vectors, by concept.
  public func prepare(_ concepts: [String], _ context: AttackContext) throws -> [String: Tensor] {
    var vectors: [String: Tensor] = [:]
    for concept in concepts { vectors[concept] = try pairs(concept, context.base)(context.base) }
    return vectors
  }

  private func pairs(_ concept: String, _ model: DiffusionModel) throws -> ConceptVector {
    if let conceptPrompts, neutralPrompts != nil || direction == .mean {
      return ConceptVector(prompts: conceptPrompts, neutralPrompts: neutralPrompts)
    }
    guard let declared = model.card?.concept(concept) else {
      throw AttackError(
        "the model's card has no concept \"\(concept)\" to take prompts from: name them in concept_prompts and "
          + "neutral_prompts")
    }
    if direction == .mean, !declared.conceptPrompts.isEmpty {
      return ConceptVector(prompts: declared.conceptPrompts)
    }
    let pairs = declared.pairs(among: conceptPrompts ?? declared.conceptPrompts)
    guard !pairs.isEmpty else {
      throw AttackError("no prompt of the concept \"\(concept)\" has its name: name neutral_prompts as well")
    }
    return ConceptVector(prompts: pairs.map(\.concept), neutralPrompts: pairs.map(\.neutral))
  }

  /// The first generation, and of each further one the children of the surviving half and those that mutate.
  public func work(drawing: ModelWork) -> ModelWork? {
    let survivors = Double(populationSize / 2)
    let bred = survivors * (2 * crossoverRate + mutationRate) * Double(generations - 1)
    return ModelWork(encodings: Double(populationSize) + bred)
  }

  public func search(
    _ target: AttackTarget, _ context: AttackContext, prepared: [String: Tensor]
  ) throws -> AdversarialPrompt {
    let model = context.base
    guard let vector = prepared[target.concept] else {
      throw AttackError("the vector of the concept \"\(target.concept)\" was not prepared")
    }
    let candidates = model.tokenizer.ordinaryTokens
    let place = try PromptTokens(target.prompt, .replace, count: tokenLength, model.tokenizer)
    let states = model.textEncoder([model.tokenizer.encode(target.prompt)])
    let goal = states + vector.reshaped(states.shape) * Float(coefficient)
    let search = GeneticSearch(
      populationSize: populationSize, generations: generations, length: tokenLength, geneCount: candidates.count,
      crossoverRate: crossoverRate, mutationRate: mutationRate, patience: patience)
    let result = try search.run(context.stream(Self.name, target), isCancelled: context.monitor.isCancelled) {
      try StateDistance(goal, model.textEncoder)($0.map { place.filled(with: $0.map { candidates[$0] }) })
    }
    return AdversarialPrompt(
      model.tokenizer.decode(result.genes.map { candidates[$0] }), loss: Double(result.loss),
      iterations: result.generations, outcome: .untested)
  }
}

/// How far the states of prompts are from a goal: the sum of squared differences over all positions.
public struct StateDistance {
  /// (1, positions, width)
  private let goal: Tensor
  private let encoder: CLIPTextModel

  public init(_ goal: Tensor, _ encoder: CLIPTextModel) { (self.goal, self.encoder) = (goal, encoder) }

  /// Prompts that one thread encodes together: few enough that what is between their layers stays in its cache. What
  /// comes out does not depend on it.
  private static let pieceSize = 4

  /// - Parameter prompts: ids, as many for each as the goal has positions
  public func callAsFunction(_ prompts: [[Int]]) throws -> [Float] {
    let size = Self.pieceSize
    return try parallelMap((prompts.count + size - 1) / size) { piece in
      let prompts = Array(prompts[piece * size..<min((piece + 1) * size, prompts.count)])
      let differences = encoder(prompts) - goal
      return prompts.indices.map { Float(differences.slice(axis: 0, $0..<$0 + 1).sumOfSquares) }
    }.flatMap { $0 }
  }
}
