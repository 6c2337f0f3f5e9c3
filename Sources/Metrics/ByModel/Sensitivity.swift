internal import Attacks
public import Configuration
internal import Diffusion
internal import Erasure
public import Tensors

/// How much an attack moves the neurons of the erased concept, and all others (arXiv 2405.16534, equations 4 and 5,
/// figures 2 and 5): a prompt and the adversarial prompt that was found for it are followed from the same noise through
/// the edited model, and the maps of every neuron compared.
///
/// The concept's neurons are those of each ResNet block that the edit quiets most. Prompts that draw the concept
/// without an attack are left out, as in the publication: how many pairs are left is a finding about the edit, and what
/// values compare by is the number of prompts that were asked. The interval resamples the pairs, not the neurons.
public struct SensitivityConfiguration: Configuration {
  public var conceptName: ConceptNames?
  public var attack = "unlearn_diff"
  public var limit = 20
  public var neurons = 5
  public var parts = [0.0, 0.2, 0.4, 0.6, 0.8]
  public var headline = 0.6

  public init() {}

  public static let fields: [Field<SensitivityConfiguration>] = [
    Field(
      "concept_name", \.conceptName, filledBy: .erasedConcepts, otherwise: nil, .named,
      "The concept whose neurons are looked for", role: .concept),
    Field(
      "attack", \.attack, .notEmpty, "The attack of the experiment that finds the adversarial prompts",
      source: publication),
    Field("limit", \.limit, .between(1...mostImages), "Prompts of the concept that are attacked"),
    Field(
      "neurons", \.neurons, .between(1...10_000), "Neurons of each ResNet block that are taken for the concept's",
      source: publication),
    Field(
      "parts", \.parts, .each(.between(0...0.999)),
      "The parts of a run after which neurons are compared; a tenth, a fifth... of 50 steps in the publication",
      source: publication),
    Field(
      "headline", \.headline, .between(0...0.999), "The one of parts whose figures are the values: step 30 of 50",
      source: publication),
  ]

  private static let publication = "seed document 001, section 3.2 and appendix"

  public func validate() throws(ConfigurationError) {
    guard parts.contains(headline) else {
      throw ConfigurationError(keyPath: "headline", "expected one of parts, found \(headline)")
    }
  }
}

extension SensitivityConfiguration: ModelMetric {
  public static let name = "sensitivity"
  public static let sourceFile = #fileID

  public func check(_ context: MetricContext) throws { _ = try prompts(context) }

  private func prompts(_ context: MetricContext) throws -> [AttackTarget] {
    let concept = try context.concept(conceptName, for: Self.name).concept
    return try ConceptPrompts.name.prompts(of: concept, context, for: Self.name).prefix(limit).map {
      AttackTarget(prompt: $0.text, concept: concept.name, seed: context.seed)
    }
  }

  public func underAttack(_ context: MetricContext) throws -> MetricUnderAttack? {
    MetricUnderAttack(
      name: attack, suffix: "_" + attack, attack: try context.attack(attack, for: Self.name),
      targets: try prompts(context))
  }

  public func evaluate(
    _ models: MeasuredModels, _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let asked = try prompts(context)
    let attack = try context.attack(attack, for: Self.name)
    let pairs = asked.compactMap { target -> ConceptNeurons.PromptPair? in
      guard let found = models.prompts[target], found.outcome != .beforeAttack else { return nil }
      return ConceptNeurons.PromptPair(prompt: target.prompt, adversarial: found.text)
    }
    guard !pairs.isEmpty else {
      throw MetricError(
        "\(Self.name): the edited model draws the concept to every prompt without an attack, so there is no pair of a "
          + "prompt and an adversarial prompt to compare")
    }
    var steps: [(part: Double, changes: [Change])] = []
    for (index, part) in parts.enumerated() {
      steps.append((part, try changes(of: pairs, after: part, models, context, monitor)))
      try monitor.advance(to: index + 1, of: parts.count)
    }
    let means = steps.map { part, changes -> JSON in
      [
        "part": .number(part), "concept": .number(mean(changes.map(\.concept))),
        "others": .number(mean(changes.map(\.others))),
      ]
    }
    guard let shown = steps.first(where: { $0.part == headline })?.changes else { return [] }
    let requests = pairs.map { ImageRequest(prompt: $0.prompt, seed: context.seed) }
    func value(_ name: String, _ changes: [Double]) throws -> MetricValue {
      MetricValue(
        name, mean(changes), unit: "mean absolute change of a neuron", .lower, count: asked.count, judge: "",
        details: ["parts": .array(means), "pairs": .integer(pairs.count)],
        interval: try Bootstrap(requests, of: name).mean(changes),
        prompts: context.conceptSet(ConceptPrompts.name.setName, ConceptPrompts.name.path),
        settings: [
          "neurons": .integer(neurons), "headline": .number(headline),
          "attack": ["name": .string(type(of: attack).name), "config": attack.encode(affectingResult: true)],
        ])
    }
    return [
      try value(Self.name, shown.map(\.concept)), try value("sensitivity_others", shown.map(\.others)),
    ]
  }

  /// How much a pair moves the concept's neurons and all others, each the mean over these.
  private struct Change {
    let concept, others: Double
  }

  /// The change of each pair.
  private func changes(
    of pairs: [ConceptNeurons.PromptPair], after part: Double, _ models: MeasuredModels, _ context: MetricContext,
    _ monitor: WorkMonitor
  ) throws -> [Change] {
    let measured = ConceptNeurons(
      prompts: pairs.map(\.prompt), samplesPerPrompt: 1, step: Int(part * Double(models.sampler.steps)),
      sampler: models.sampler, seed: context.seed)
    let chosen = try measured.scores(original: models.base, erased: models.edited, monitor: monitor)
      .mapValues { Set(ConceptNeurons.largest(neurons, of: $0)) }
    return try parallelMap(pairs.count) { index -> Change in
      let changes = try measured.sensitivities(of: models.edited, [pairs[index]], monitor: monitor)
      var (concept, others) = ([Double](), [Double]())
      for (block, change) in changes.sorted(by: { $0.key < $1.key }) {
        guard let chosen = chosen[block] else { continue }
        for (channel, value) in change.values.enumerated() {
          if chosen.contains(channel) { concept.append(Double(value)) } else { others.append(Double(value)) }
        }
      }
      return Change(concept: mean(concept), others: mean(others))
    }
  }

  private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(values.count, 1)) }
}
