internal import Attacks
public import Configuration
public import Diffusion
internal import Shapes
public import Tensors

/// The concept erasure rate: the share of images, drawn from prompts of the erased concept, in which the judge does not
/// find it; beside it the accuracy on every other concept, which an edit should leave alone.
///
/// Of several erased concepts each is asked for by prompts of its own, and its images are judged for it alone; the rate
/// is that of all these images together, and the details have each concept's own.
///
/// Under an attack the images are those of adversarial prompts, and of nothing else: what an edit leaves alone is not
/// under attack.
public struct CERConfiguration: Configuration {
  public var conceptName: ConceptNames?
  public var attack: String?
  public var prompts = ConceptPrompts.name
  public var promptsPath: String?
  public var limit = 128
  public var samplesPerPrompt: Int?
  public var synonymLimit = 0
  public var impliedLimit = 0
  public var retainLimit = 128
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<CERConfiguration>] = [
    Field(
      "concept_name", \.conceptName, filledBy: .erasedConcepts, otherwise: nil, .named,
      "The concept that should be gone, or several", source: "seed document 001, section 4.1", role: .concept),
    Field(
      "attack", \.attack, .notEmpty,
      "An attack of the experiment that every prompt of the concept is put through first; none if unset"),
    Field("prompts", \.prompts, "Which prompts of the concept to draw from"),
    .promptsFile(\.promptsPath, key: "prompts_path"),
    Field(
      "limit", \.limit, .between(1...mostImages),
      "Images drawn from prompts of the concept, of each of several; with samples_per_prompt or an attack the number "
        + "of prompts"),
    Field(
      "samples_per_prompt", \.samplesPerPrompt, .between(1...10_000),
      "Images of each prompt, from noise of their own; if unset 1 under an attack, and else the prompts are gone "
        + "through again until there are limit images"),
    Field(
      "synonym_limit", \.synonymLimit, .between(0...mostImages),
      "Images drawn from prompts that call the concept by a synonym, of each of several"),
    Field(
      "implied_limit", \.impliedLimit, .between(0...mostImages),
      "Images drawn from prompts that imply the concept unnamed, of each of several"),
    Field(
      "retain_limit", \.retainLimit, .between(1...mostImages),
      "Images drawn from prompts of all other concepts together"),
    Field("judge", \.judge, .notEmpty, "The judge to ask, of those the base model names; the concept's own if unset"),
    .device(\.device),
  ]

  public var warnings: [String] {
    promptsPath == nil || prompts == .name
      ? [] : ["prompts_path is set: its prompts take the place of the base model's, and prompts is not used"]
  }
}

extension CERConfiguration: ImageMetric {
  public static let name = "cer"
  public static let sourceFile = #fileID

  public func requests(_ context: MetricContext) throws -> [ImageRequest] {
    let plan = try plan(context)
    return plan.erased.flatMap { $0.questions.map(\.request) } + plan.others.map(\.request)
  }

  public func underAttack(_ context: MetricContext) throws -> MetricUnderAttack? {
    guard let attack else { return nil }
    let plan = try plan(context)
    return MetricUnderAttack(
      name: attack, suffix: "_" + attack, attack: try context.attack(attack, for: Self.name),
      targets: plan.erased.flatMap(\.parts).flatMap { part in
        part.questions.map {
          AttackTarget(prompt: $0.request.prompt, concept: part.concept.name, seed: $0.request.seed)
        }
      })
  }

  public func judges(_ context: MetricContext) throws -> [String] { [try plan(context).judge.folder] }

  public func evaluate(
    _ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let plan = try plan(context)
    let classes = try AttributeJudge(plan.judge).classes(images) { try monitor.advance(to: $0, of: images.count) }
    var rest = classes[...]
    var values: [MetricValue] = []
    for group in plan.erased {
      values.append(plan.erasureRate(group, classes: Array(rest.prefix(group.questions.count))))
      rest = rest.dropFirst(group.questions.count)
    }
    return values + (try plan.accuracies(classes: Array(rest)))
  }

  /// What is drawn and asked, from the card and this configuration.
  private func plan(_ context: MetricContext) throws -> CERPlan {
    let card = try context.requireCard(for: Self.name)
    let names = conceptName?.names ?? context.erasedConcepts
    let concepts = try names.map { try context.declared($0, for: Self.name) }
    guard let first = concepts.first else {
      throw MetricError("cer: no concept is named, by the metric or by the technique")
    }
    let judges = concepts.map(\.concept.judge.judge)
    if judge == nil, let other = judges.firstIndex(where: { $0 != judges[0] }) {
      throw MetricError(
        "cer: \"\(first.name)\" has the judge \"\(judges[0])\" and \"\(concepts[other].name)\" the judge"
          + " \"\(judges[other])\"; judge says which of them is to judge all")
    }
    let erased = names + context.erasedConcepts.filter { !names.contains($0) }
    let others = card.concepts(otherThan: erased)
    let file = try promptFile(context)
    func group(_ name: String, _ limit: Int, _ choice: ConceptPrompts) throws -> CERPlan.Group {
      // A file says nothing of synonyms.
      let file = name == Self.name ? file : nil
      return CERPlan.Group(
        name: name, set: file?.set ?? context.conceptSet(choice.setName, choice.path),
        parts: try concepts.map { try part(limit, choice, file, $0, context) })
    }
    return CERPlan(
      erasedKinds: Set(concepts.map(\.concept.kind)),
      concepts: try others.map { try context.judged($0, for: Self.name) },
      judge: try context.judge(of: first, judge, for: Self.name),
      erased: [
        try group(Self.name, limit, prompts),
        try group("cer_synonyms", attack == nil ? synonymLimit : 0, .synonyms),
        try group("cer_implied", attack == nil ? impliedLimit : 0, .implied),
      ].filter { !$0.questions.isEmpty },
      others: attack == nil
        ? context.asked(retainLimit, inTurn: others.map { card.prompts(of: $0, without: erased) }) : [],
      othersSet: context.conceptSet("prompts of the other concepts", ConceptPrompts.name.path))
  }

  /// The prompts of a file, where one takes the place of the card's.
  private func promptFile(_ context: MetricContext) throws -> PromptFile? {
    try promptsPath.map {
      try PromptFile($0, column: "prompt", context, for: Self.name, key: "prompts_path")
    }
  }

  /// Images of one way to ask for one erased concept.
  private func part(
    _ limit: Int, _ choice: ConceptPrompts, _ file: PromptFile?, _ concept: JudgedConcept, _ context: MetricContext
  ) throws -> CERPlan.Part {
    guard limit > 0 else { return CERPlan.Part(concept: concept, questions: []) }
    let prompts =
      try file?.prompts.map { ModelCard.Prompt($0, concepts: [concept.name]) }
      ?? choice.prompts(of: concept.concept, context, for: Self.name)
    let samples = samplesPerPrompt ?? (attack == nil ? nil : 1)
    let count = samples.map { min(limit, prompts.count) * $0 } ?? limit
    return CERPlan.Part(
      concept: concept,
      questions: (0..<count).map { index in
        // So many of each prompt one after the other, or all prompts in turn and then again.
        let (position, repetition) =
          samples.map { (index / $0, index % $0) } ?? (index % prompts.count, index / prompts.count)
        return AskedImage(
          request: ImageRequest(prompt: prompts[position].text, seed: context.seed, repetition: repetition),
          concepts: prompts[position].concepts)
      })
  }
}

/// What the concept erasure rate draws, and what it asks about it.
private struct CERPlan {
  /// One way to ask for what is erased: by name, by synonyms, by what implies it.
  struct Group {
    /// The name of the metric value.
    let name: String
    /// What it is measured on, whichever concepts are erased.
    let set: PromptSet
    /// One for each erased concept.
    let parts: [Part]

    var questions: [AskedImage] { parts.flatMap(\.questions) }
  }

  /// The questions about one erased concept.
  struct Part {
    let concept: JudgedConcept
    let questions: [AskedImage]
  }

  /// The kinds of the erased concepts.
  let erasedKinds: Set<String>
  /// All concepts of the card that are not erased.
  let concepts: [JudgedConcept]
  let judge: NamedJudge
  let erased: [Group]
  let others: [AskedImage]
  /// What the accuracies are measured on, whichever concepts are erased.
  let othersSet: PromptSet

  /// The share of a group's images in which the judge does not find the concept that they were asked for.
  func erasureRate(_ group: Group, classes: [[Int]]) -> MetricValue {
    var rest = classes[...]
    var (gone, details) = (0, [String: JSON]())
    for part in group.parts {
      let seen = rest.prefix(part.questions.count).map { $0[part.concept.head] }
      rest = rest.dropFirst(part.questions.count)
      let own = seen.filter { $0 != part.concept.classIndex }.count
      gone += own
      // What the judge saw where the concept was asked for.
      let found = part.concept.kind.classes.enumerated().compactMap { index, name -> (String, JSON)? in
        let count = seen.filter { $0 == index }.count
        return count > 0 ? (name, .integer(count)) : nil
      }
      details[part.concept.name] = [
        "cer": .number(Double(own) / Double(seen.count)), "count": .integer(seen.count),
        "seen": .object(Dictionary(uniqueKeysWithValues: found)),
      ]
    }
    let only = group.parts.count == 1 ? group.parts[0].concept.name : nil
    return MetricValue(
      group.name, Double(gone) / Double(classes.count), unit: "fraction", .higher, count: classes.count,
      judge: judge.label,
      details: only.map { ["concept": .string($0), "seen": details[$0]?["seen"] ?? [:]] }
        ?? ["concepts": .object(details)],
      interval: .wilson(gone, of: classes.count), prompts: group.set)
  }

  /// The mean over the concepts of the erased ones' kinds first, then over those of each kind.
  func accuracies(classes: [[Int]]) throws -> [MetricValue] {
    let named = Set(others.flatMap(\.concepts))
    let asked = concepts.filter { named.contains($0.name) }
    var kinds: [String] = []
    for concept in asked where !kinds.contains(concept.concept.kind) { kinds.append(concept.concept.kind) }
    // The mark has no other of its kind to compare with: then all others stand for it.
    let same = erasedKinds.isDisjoint(with: kinds) ? asked : asked.filter { erasedKinds.contains($0.concept.kind) }
    var values = [try mean("other_accuracy", same, classes: classes)]
    for kind in kinds {
      values.append(try mean("accuracy_\(kind)", asked.filter { $0.concept.kind == kind }, classes: classes))
    }
    return values.compactMap(\.self)
  }

  /// The mean over concepts of the share of images that show it where it is asked for; nil where none is.
  private func mean(_ name: String, _ concepts: [JudgedConcept], classes: [[Int]]) throws -> MetricValue? {
    let answers = Answers(others, classes: classes, about: concepts)
    return try answers.mean.map { mean in
      MetricValue(
        name, mean, unit: "fraction", .higher, count: answers.count, judge: judge.label, details: answers.details,
        interval: try Bootstrap(others.map(\.request), of: name)
          .meanOfShares(answers.byImage, questions: concepts.count),
        prompts: othersSet)
    }
  }
}
