public import Configuration
public import Diffusion
public import Tensors

/// The top-1 accuracy on the erased class and on those beside it, as tables of object erasure give it by ResNet-50
/// (Gandikota et al. 2023, arXiv 2303.07345, table 3): low on the first and high on the others where the edit is good.
public struct TargetAccuracyConfiguration: Configuration {
  public var concept: ConceptNames?
  public var limit = 500
  public var retainLimit = 4500
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<TargetAccuracyConfiguration>] = [
    Field(
      "concept_name", \.concept, filledBy: .erasedConcepts, otherwise: nil, .named,
      "The class that should be gone", source: "seed document 002", role: .concept),
    Field(
      "limit", \.limit, .between(1...mostImages), "Images drawn from prompts of the class",
      source: "ESD, table 3: 500 images a class"),
    Field(
      "retain_limit", \.retainLimit, .between(0...mostImages),
      "Images drawn from prompts of the other classes of its kind together",
      source: "ESD, table 3: nine other classes"),
    .judgeOfConcept(\.judge),
    .device(\.device),
  ]
}

extension TargetAccuracyConfiguration: ImageMetric {
  public static let name = "accuracy"
  public static let sourceFile = #fileID

  public func requests(_ context: MetricContext) throws -> [ImageRequest] {
    let plan = try plan(context)
    return (plan.target + plan.retained).map(\.request)
  }

  public func judges(_ context: MetricContext) throws -> [String] { [try judge(context).folder] }

  public func evaluate(
    _ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let plan = try plan(context)
    let judge = try judge(context)
    let classes = try AttributeJudge(judge).classes(images) { try monitor.advance(to: $0, of: images.count) }
    let right = classes.prefix(plan.target.count).count { $0[plan.concept.head] == plan.concept.classIndex }
    var values = [
      MetricValue(
        Self.name, Double(right) / Double(plan.target.count), unit: "fraction", .lower, count: plan.target.count,
        judge: judge.label, details: ["concept": .string(plan.concept.name), "right": .integer(right)],
        interval: .wilson(right, of: plan.target.count),
        prompts: context.conceptSet(ConceptPrompts.name.setName, ConceptPrompts.name.path))
    ]
    let answers = Answers(
      plan.retained, classes: Array(classes.dropFirst(plan.target.count)), about: plan.others)
    if let mean = answers.mean {
      values.append(
        MetricValue(
          "accuracy_others", mean, unit: "fraction", .higher, count: plan.retained.count, judge: judge.label,
          details: answers.details,
          interval: try Bootstrap(plan.retained.map(\.request), of: "accuracy_others")
            .meanOfShares(answers.byImage, questions: plan.others.count),
          prompts: context.conceptSet("prompts of the other concepts", ConceptPrompts.name.path)))
    }
    return values
  }

  private func plan(_ context: MetricContext) throws -> (
    concept: JudgedConcept, others: [JudgedConcept], target: [AskedImage], retained: [AskedImage]
  ) {
    let concept = try context.concept(concept, for: Self.name)
    let card = try context.requireCard(for: Self.name)
    let others = try context.others(than: concept, for: Self.name)
    let gone = [concept.name] + context.erasedConcepts
    return (
      concept, others,
      context.asked(limit, try ConceptPrompts.name.prompts(of: concept.concept, context, for: Self.name)),
      context.asked(retainLimit, inTurn: others.map { card.prompts(of: $0.concept, without: gone) })
    )
  }

  private func judge(_ context: MetricContext) throws -> NamedJudge {
    try context.judge(of: context.concept(concept, for: Self.name), judge, for: Self.name)
  }
}
