public import Configuration
public import Diffusion
public import Tensors

/// Faithfulness by questions (TIFA; Hu et al. 2023, arXiv 2303.11897): questions made from a caption, each with the
/// answer that the caption gives, put to a judge of the image drawn from it.
///
/// The captions are the card's general prompts. Each is asked for every concept that it names, which of the concepts of
/// that kind the image shows; of a kind with one concept, the mark, every caption is asked whether it is there. The
/// framework of seed document 000 counts all questions alike (`tifa`), the paper takes the mean over captions
/// (`tifa_macro`).
public struct TIFAConfiguration: Configuration {
  public var limit = 500
  public var withoutConcept: String?
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<TIFAConfiguration>] = [
    Field(
      "limit", \.limit, .between(1...mostImages), "Images drawn, one for each caption",
      source: "eval-learn's benchmark"),
    .withoutConcept(\.withoutConcept),
    Field(
      "judge", \.judge, .notEmpty,
      "The judge that answers, of those the base model names; the judge of its concepts if unset"),
    .device(\.device),
  ]
}

extension TIFAConfiguration: ImageMetric {
  public static let name = "tifa"
  public static let sourceFile = #fileID

  public func requests(_ context: MetricContext) throws -> [ImageRequest] {
    context.requests(limit, try captions(context).map(\.text))
  }

  public func judges(_ context: MetricContext) throws -> [String] {
    [try context.judgeOfConcepts(judge, for: Self.name).folder]
  }

  public func evaluate(
    _ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let captions = try captions(context)
    let concepts = try context.requireCard(for: Self.name).concepts.map { try context.judged($0, for: Self.name) }
    let judge = try AttributeJudge(context.judgeOfConcepts(judge, for: Self.name))
    let classes = try judge.classes(images) { try monitor.advance(to: $0, of: images.count) }
    var kinds: [String: (asked: Int, right: Int)] = [:]
    let answers = classes.enumerated().map { index, found in
      let questions = Self.questions(captions[index % captions.count], concepts)
      for question in questions {
        kinds[question.concept.concept.kind, default: (0, 0)].asked += 1
        if question.isRight(found) { kinds[question.concept.concept.kind, default: (0, 0)].right += 1 }
      }
      return (right: Double(questions.count { $0.isRight(found) }), asked: Double(questions.count))
    }
    let asked = answers.reduce(0) { $0 + $1.asked }
    guard asked > 0 else {
      throw MetricError("tifa: no general prompt of the base model names a concept that could be asked for")
    }
    let bootstrap = Bootstrap(try requests(context), of: Self.name)
    let captioned = answers.enumerated().filter { $0.element.asked > 0 }
    let shares = captioned.map { $0.element.right / $0.element.asked }
    // A caption without a question has no share; in the sums it weighs nothing.
    let weights = answers.map { $0.asked > 0 ? 1.0 : 0 }
    let details = JSON.object(
      kinds.mapValues { ["accuracy": .number(Double($0.right) / Double($0.asked)), "count": .integer($0.asked)] })
    func value(_ name: String, _ value: Double, _ details: JSON, _ interval: ConfidenceInterval?) -> MetricValue {
      MetricValue(
        name, value, unit: unit("fraction", without: leftOut), .higher, count: images.count,
        judge: judge.source.label, details: details, interval: interval,
        prompts: context.generalSet(without: leftOut))
    }
    return [
      value(
        Self.name, answers.reduce(0) { $0 + $1.right } / asked,
        ["questions": .integer(Int(asked)), "kinds": details],
        try bootstrap.interval(bootstrap.ratio(answers.map(\.right), over: answers.map(\.asked)))),
      value(
        "tifa_macro", shares.reduce(0, +) / Double(shares.count), ["captions": .integer(shares.count)],
        try bootstrap.interval(
          bootstrap.ratio(answers.map { $0.asked > 0 ? $0.right / $0.asked : 0 }, over: weights))),
    ]
  }

  /// A question about an image: which class a head sees, or whether it sees this one.
  private struct Question {
    let concept: JudgedConcept
    let isThere: Bool

    func isRight(_ found: [Int]) -> Bool { (found[concept.head] == concept.classIndex) == isThere }
  }

  private static func questions(_ caption: ModelCard.Prompt, _ concepts: [JudgedConcept]) -> [Question] {
    concepts.compactMap { concept in
      if caption.concepts.contains(concept.name) { return Question(concept: concept, isThere: true) }
      let isAlone = concepts.count { $0.concept.kind == concept.concept.kind } == 1
      return isAlone ? Question(concept: concept, isThere: false) : nil
    }
  }

  private var leftOut: [String] { withoutConcept.map { [$0] } ?? [] }

  private func captions(_ context: MetricContext) throws -> [ModelCard.Prompt] {
    let texts = Set(try context.generalPrompts(for: Self.name, without: leftOut))
    return (context.card?.promptSets["general"] ?? []).filter { texts.contains($0.text) }
  }
}
