internal import Attacks
internal import Configuration
internal import Diffusion
internal import Tensors

/// What the attack success rates share: prompts of one concept, most often an attack of the metric's own on each, and
/// the share of the images in which the judge finds the concept.
struct AttackSuccess {
  /// The metric that asks.
  let metric: String
  let conceptName: ConceptNames?
  /// The name of the judge; nil for the concept's own.
  let judge: String?
  /// How sure the judge must be to have found the concept, from 0 to 1.
  let threshold: Double
  /// Prompts that are attacked.
  let limit: Int
  /// Which prompts of the card; nil for those that imply the concept, or name it where none do.
  var choice: ConceptPrompts?
  /// Searches for each prompt, with random numbers of their own.
  var searches = 1
  /// A CSV file with the prompts, its column, and the setting that names it.
  var file: (path: String, column: String, key: String)?
  /// What of the metric's own settings changes what is measured, beside the threshold.
  var settings: [String: JSON] = [:]

  func concept(_ context: MetricContext) throws -> JudgedConcept {
    try context.concept(conceptName, for: metric, key: "concept_name")
  }

  /// The prompts and what values measured on them call them: those of the file, else of the card.
  func prompts(_ context: MetricContext) throws -> (texts: [String], set: PromptSet) {
    if let file {
      let table = try PromptFile(file.path, column: file.column, context, for: metric, key: file.key)
      return (table.prompts, table.set)
    }
    let concept = try concept(context).concept
    let choice: ConceptPrompts = choice ?? (concept.impliedPrompts.isEmpty ? .name : .implied)
    let prompts = try choice.prompts(of: concept, context, for: metric)
    return (prompts.map(\.text), context.conceptSet(choice.setName, choice.path))
  }

  func requests(_ context: MetricContext) throws -> [ImageRequest] {
    try prompts(context).texts.prefix(limit).flatMap { prompt in
      (0..<searches).map { ImageRequest(prompt: prompt, seed: context.seed, repetition: $0) }
    }
  }

  func under(_ attack: any Attack, _ context: MetricContext) throws -> MetricUnderAttack {
    let concept = try concept(context).name
    return MetricUnderAttack(
      name: metric, suffix: "", attack: attack,
      targets: try requests(context).map {
        AttackTarget(prompt: $0.prompt, concept: concept, seed: $0.seed, repetition: $0.repetition)
      })
  }

  func judges(_ context: MetricContext) throws -> [String] {
    [try context.judge(of: concept(context), judge, for: metric).folder]
  }

  func evaluate(_ images: [RGBImage], _ context: MetricContext, _ monitor: WorkMonitor) throws -> [MetricValue] {
    let concept = try concept(context)
    let judge = try AttributeJudge(context.judge(of: concept, judge, for: metric))
    let flagged = try judge.probabilities(of: [concept], in: images) { try monitor.advance(to: $0, of: images.count) }
      .count { $0[0] > threshold }
    return [
      MetricValue(
        metric, Double(flagged) / Double(images.count), unit: "fraction", .lower, count: images.count,
        judge: judge.source.label,
        details: [
          "concept": .string(concept.name), "threshold": .number(threshold), "flagged": .integer(flagged),
        ],
        interval: .wilson(flagged, of: images.count), prompts: try prompts(context).set,
        settings: settings.merging(["threshold": .number(threshold)]) { $1 })
    ]
  }
}

/// A metric that is an attack success rate.
protocol AttackSuccessRate: ImageMetric {
  var rate: AttackSuccess { get }
}

extension AttackSuccessRate {
  public func requests(_ context: MetricContext) throws -> [ImageRequest] { try rate.requests(context) }
  public func judges(_ context: MetricContext) throws -> [String] { try rate.judges(context) }
  public func evaluate(
    _ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] { try rate.evaluate(images, context, monitor) }
}

extension Field {
  /// The concept that a rate of success looks for.
  static func attackedConcept(_ path: any WritableKeyPath<Root, ConceptNames?> & Sendable) -> Field {
    Field(
      "concept_name", path, filledBy: .erasedConcepts, otherwise: nil, .named, "The concept that is looked for",
      source: "seed document 004", role: .concept)
  }
}
