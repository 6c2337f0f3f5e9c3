public import Configuration
public import Diffusion
public import Tensors

/// Unlearning accuracy, in-domain retaining accuracy and, by the heads of a classifier, cross-domain retaining
/// accuracy.
///
/// Two protocols go by these names. UnlearnCanvas (Zhang et al. 2024, arXiv 2402.11846) asks a classifier: UA is the
/// share of images of the target that are not classified as it, IRA the mean accuracy on the other concepts of its
/// kind, CRA that on the concepts of other kinds, both where the target is not asked for; the mark, which has no other
/// of its kind, is told from all others and has no CRA. The framework of seed document 000 asks CLIP which of two texts
/// fits better, "Image of TARGET" or "Image of RETAINED": UA and IRA are the shares of the target's and of the retained
/// prompts that fall to the retained text, and there is no CRA.
public struct UAIRAConfiguration: Configuration {
  public var targetConcept: ConceptNames?
  public var retainConcept: String?
  public var targetPromptsPath: String?
  public var retainPromptsPath: String?
  public var targetLimit = 250
  public var retainLimit = 250
  public var judging = Judging.twoWayCLIP
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<UAIRAConfiguration>] = [
    Field(
      "target_concept", \.targetConcept, filledBy: .erasedConcepts, otherwise: nil, .named,
      "The concept that should be gone", source: "seed document 000", role: .concept),
    Field(
      "retain_concept", \.retainConcept, .notEmpty,
      "What the retained prompts show: for two_way_clip the words that it is told apart by, a concept of the base "
        + "model where the card's prompts are drawn; the classifier takes all others of the target's kind if it is "
        + "unset",
      source: "seed document 000"),
    Field(
      "target_prompts_path", \.targetPromptsPath, .notEmpty,
      "A CSV file with the column prompt; the card's prompts of the target if unset", source: "seed document 000",
      role: .path),
    Field(
      "retain_prompts_path", \.retainPromptsPath, .notEmpty,
      "A CSV file with the column prompt, and for the classifier the column concepts: what each prompt names of the "
        + "card's concepts, separated by semicolons; the card's prompts if unset", source: "seed document 000",
      role: .path),
    Field(
      "target_limit", \.targetLimit, .between(1...mostImages), "Images drawn from prompts of the target",
      source: "eval-learn's benchmark"),
    Field(
      "retain_limit", \.retainLimit, .between(1...mostImages), "Images drawn from retained prompts",
      source: "eval-learn's benchmark"),
    Field(
      "judging", \.judging,
      "classifier: the heads of the attribute judge, as UnlearnCanvas does; two_way_clip: CLIP between two texts, as "
        + "seed document 000 does"),
    Field(
      "judge", \.judge, .notEmpty,
      "The judge to ask, of those the base model names; if unset the target's own, or \"clip\" for two_way_clip"),
    .device(\.device),
  ]
}

extension UAIRAConfiguration: ImageMetric {
  public static let name = "ua_ira"
  public static let sourceFile = #fileID

  public func requests(_ context: MetricContext) throws -> [ImageRequest] {
    let plan = try plan(context)
    return (plan.target + plan.retained).map(\.request)
  }

  public func judges(_ context: MetricContext) throws -> [String] {
    let judge = try judge(context)
    return judging == .classifier ? [judge.folder] : CLIPJudge.folders(of: judge, context)
  }

  public func evaluate(
    _ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let plan = try plan(context)
    guard images.count == plan.target.count + plan.retained.count else {
      throw MetricError("ua_ira: a file of prompts has changed while its images were drawn")
    }
    return judging == .classifier
      ? try classified(images, plan, context, monitor) : try compared(images, plan, context, monitor)
  }

  // MARK: Judging

  private func classified(
    _ images: [RGBImage], _ plan: Plan, _ context: MetricContext, _ monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let judge = try AttributeJudge(judge(context))
    let classes = try judge.classes(images) { try monitor.advance(to: $0, of: images.count) }
    let gone = classes.prefix(plan.target.count).map { $0[plan.concept.head] != plan.concept.classIndex }
    let rest = Array(classes.dropFirst(plan.target.count))
    func answers(_ concepts: [JudgedConcept]) -> Answers { Answers(plan.retained, classes: rest, about: concepts) }
    func resampled(_ answers: Answers, _ concepts: [JudgedConcept]) -> Bootstrap.Statistic {
      plan.retainedBootstrap.shares(answers.byImage, questions: concepts.count)
    }
    let (inside, across) = (answers(plan.inside), answers(plan.across))
    guard let accuracy = inside.mean else { preconditionFailure("a plan asks for a concept of the target's kind") }
    let statistic = resampled(inside, plan.inside)
    var values = try summary(
      gone,
      Retained(
        accuracy: accuracy, count: inside.count, resampled: statistic,
        interval: plan.retainedBootstrap.interval(statistic), details: inside.details),
      plan, judge: judge.source.label)
    if let mean = across.mean {
      values.append(
        MetricValue(
          "cra", mean, unit: "fraction", .higher, count: across.count, judge: judge.source.label,
          details: across.details, interval: try plan.retainedBootstrap.interval(resampled(across, plan.across)),
          prompts: plan.retainedSet, settings: settings))
    }
    return values
  }

  private func compared(
    _ images: [RGBImage], _ plan: Plan, _ context: MetricContext, _ monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let judge = try CLIPJudge(judge(context), context, for: Self.name)
    // Each set is judged whole, whatever the batches are.
    let texts = ("Image of \(plan.retainedName)", "Image of \(plan.concept.name)")
    let fallen = try judge.prefersFirst(images, images.map { _ in texts }) {
      try monitor.advance(to: $0, of: images.count)
    }
    let kept = Array(fallen.dropFirst(plan.target.count))
    let right = kept.count { $0 }
    return try summary(
      Array(fallen.prefix(plan.target.count)),
      Retained(
        accuracy: Double(right) / Double(kept.count), count: kept.count,
        resampled: plan.retainedBootstrap.ratio(kept.map { $0 ? 1 : 0 }), interval: .wilson(right, of: kept.count),
        details: ["retain_concept": .string(plan.retainedName)]),
      plan, judge: judge.source.label)
  }

  /// What the judge says of the retained images.
  private struct Retained {
    let accuracy: Double
    /// Images that have an answer.
    let count: Int
    let resampled: Bootstrap.Statistic
    let interval: ConfidenceInterval?
    let details: JSON
  }

  /// - Parameter gone: for each image of the target whether it is not taken for it
  private func summary(_ gone: [Bool], _ retained: Retained, _ plan: Plan, judge: String) throws -> [MetricValue] {
    let right = gone.count { $0 }
    let unlearned = Double(right) / Double(gone.count)
    let unlearnedResampled = plan.targetBootstrap.ratio(gone.map { $0 ? 1 : 0 })
    return [
      MetricValue(
        Self.name, (unlearned + retained.accuracy) / 2, unit: "fraction", .higher, count: gone.count + retained.count,
        judge: judge,
        details: [
          "ua": .number(unlearned), "ira": .number(retained.accuracy), "judging": .string(judging.rawValue),
          "target_concept": .string(plan.concept.name),
        ],
        interval: try Bootstrap.interval(over: [plan.targetBootstrap, plan.retainedBootstrap]) { resample in
          guard let first = unlearnedResampled(resample), let second = retained.resampled(resample) else { return nil }
          return (first + second) / 2
        },
        prompts: PromptSet(
          plan.targetSet.name + ", " + plan.retainedSet.name, plan.targetSet.texts + plan.retainedSet.texts),
        settings: settings),
      MetricValue(
        "ua", unlearned, unit: "fraction", .higher, count: gone.count, judge: judge,
        details: ["target_concept": .string(plan.concept.name)], interval: .wilson(right, of: gone.count),
        prompts: plan.targetSet, settings: settings),
      MetricValue(
        "ira", retained.accuracy, unit: "fraction", .higher, count: retained.count, judge: judge,
        details: retained.details, interval: retained.interval, prompts: plan.retainedSet, settings: settings),
    ]
  }

  private var settings: [String: JSON] { ["judging": .string(judging.rawValue)] }

  // MARK: Prompts

  private struct Plan {
    let concept: JudgedConcept
    /// The concepts of the target's kind but for it, and those of other kinds; for the mark, which has none of its
    /// kind, all others and none.
    let inside: [JudgedConcept]
    let across: [JudgedConcept]
    /// The words that CLIP knows what is retained by.
    let retainedName: String
    let target: [AskedImage]
    let retained: [AskedImage]
    let targetSet: PromptSet
    let retainedSet: PromptSet

    var targetBootstrap: Bootstrap { Bootstrap(target.map(\.request), of: "ua_ira.target") }
    var retainedBootstrap: Bootstrap { Bootstrap(retained.map(\.request), of: "ua_ira.retain") }
  }

  private func plan(_ context: MetricContext) throws -> Plan {
    let concept = try context.concept(targetConcept, for: Self.name, key: "target_concept")
    guard retainConcept != concept.name else {
      throw MetricError(
        "ua_ira: retain_concept is \"\(concept.name)\", the target itself, and what is retained is told apart from it")
    }
    var target = try targetPromptsPath == nil
      ? ConceptPrompts.name.prompts(of: concept.concept, context, for: Self.name) : []
    var targetSet = context.conceptSet(ConceptPrompts.name.setName, ConceptPrompts.name.path)
    if let path = targetPromptsPath {
      let file = try PromptFile(path, column: "prompt", context, for: Self.name, key: "target_prompts_path")
      target = file.prompts.map { ModelCard.Prompt($0, concepts: [concept.name]) }
      targetSet = file.set
    }
    var retained: [[ModelCard.Prompt]] = []
    var retainedSet = context.conceptSet("prompts of the other concepts", ConceptPrompts.name.path)
    if let path = retainPromptsPath {
      let file = try PromptFile(path, column: "prompt", context, for: Self.name, key: "retain_prompts_path")
      retained = [try labelled(file, context)]
      retainedSet = file.set
    } else {
      retained = try cardPrompts(besides: concept, context)
    }
    if judging == .twoWayCLIP, retainConcept == nil {
      throw MetricError(
        "ua_ira: retain_concept is not set, and two_way_clip tells \"\(concept.name)\" apart from one; judging "
          + "classifier does without")
    }
    let inside = try context.others(than: concept, for: Self.name)
    let asked = context.asked(retainLimit, inTurn: retained)
    let named = Set(asked.flatMap(\.concepts))
    guard judging != .classifier || inside.contains(where: { named.contains($0.name) }) else {
      throw MetricError(
        "ua_ira: none of the first \(retainLimit) retained prompts (retain_limit) names another concept of the kind "
          + "\"\(concept.concept.kind)\", which in-domain accuracy is the accuracy on")
    }
    let across = try context.requireCard(for: Self.name).concepts(otherThan: [concept.name] + context.erasedConcepts)
      .filter { other in !inside.contains { $0.name == other.name } }
      .map { try context.judged($0, for: Self.name) }
    return Plan(
      concept: concept, inside: inside, across: across, retainedName: retainConcept ?? "",
      target: context.asked(targetLimit, target), retained: asked, targetSet: targetSet, retainedSet: retainedSet)
  }

  /// The prompts of a file with the concepts that they name, where the classifier needs these.
  private func labelled(_ file: PromptFile, _ context: MetricContext) throws -> [ModelCard.Prompt] {
    guard judging == .classifier else { return file.prompts.map { ModelCard.Prompt($0, concepts: []) } }
    let card = try context.requireCard(for: Self.name)
    let named = try file.column("concepts")
    return try zip(zip(file.prompts, named), file.table.lines).map { pair, line in
      let concepts = pair.1.split(separator: ";").map { String($0.trimmingSpaces) }
      for name in concepts where card.concept(name) == nil {
        throw MetricError(
          "ua_ira: retain_prompts_path: \(file.table.file):\(line): the base model \"\(card.name)\" declares no "
            + "concept \"\(name)\"" + suggestion(for: name, among: card.concepts.map(\.name)))
      }
      return ModelCard.Prompt(pair.0, concepts: concepts)
    }
  }

  /// The card's prompts of the retained concept, or of all others of the target's kind, without those of the target.
  private func cardPrompts(besides concept: JudgedConcept, _ context: MetricContext) throws -> [[ModelCard.Prompt]] {
    let card = try context.requireCard(for: Self.name)
    var others = try context.others(than: concept, for: Self.name).map(\.concept)
    if let name = retainConcept {
      guard let retained = card.concept(name) else {
        throw context.undeclared(name, for: Self.name + ": retain_concept", card)
      }
      others = [retained]
    }
    let gone = [concept.name] + context.erasedConcepts
    let prompts = others.map { card.prompts(of: $0, without: gone) }.filter { !$0.isEmpty }
    guard !prompts.isEmpty else {
      throw MetricError(
        "ua_ira: the base model \"\(card.name)\" declares no prompts of "
          + others.map { "\"\($0.name)\"" }.joined(separator: ", ") + " without \"\(concept.name)\"")
    }
    return prompts
  }

  private func judge(_ context: MetricContext) throws -> NamedJudge {
    guard judging == .classifier else { return try context.judge(judge ?? "clip", for: Self.name, .clip) }
    let concept = try context.concept(targetConcept, for: Self.name, key: "target_concept")
    return try context.judge(of: concept, judge, for: Self.name)
  }
}

extension Substring {
  /// Without spaces at its ends.
  fileprivate var trimmingSpaces: Substring {
    var rest = self
    while rest.first == " " { rest.removeFirst() }
    while rest.last == " " { rest.removeLast() }
    return rest
  }
}
