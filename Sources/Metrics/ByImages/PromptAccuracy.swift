public import Configuration
public import Diffusion
internal import Shapes
public import Tensors

/// How often images show what their prompts ask for, for each kind of concept: the quality of a model on a set of
/// prompts of its card, such as the prompts that its training has never seen.
public struct PromptAccuracyConfiguration: Configuration {
  public var set = "unseen"
  public var limit = 512
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<PromptAccuracyConfiguration>] = [
    Field("set", \.set, .notEmpty, "The card's set of prompts"),
    Field("limit", \.limit, .between(1...mostImages), "Images drawn"),
    Field("judge", \.judge, .notEmpty, "The judge network, by the name under which the base model's card declares it"),
    .device(\.device),
  ]
}

extension PromptAccuracyConfiguration: ImageMetric {
  public static let name = "prompt_accuracy"
  public static let sourceFile = #fileID

  public func requests(_ context: MetricContext) throws -> [ImageRequest] {
    context.requests(limit, try prompts(context).map(\.text))
  }

  public func judges(_ context: MetricContext) throws -> [String] {
    [try context.judgeOfConcepts(judge, for: Self.name).folder]
  }

  public func evaluate(
    _ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let card = try context.requireCard(for: Self.name)
    let prompts = try prompts(context)
    let judge = try context.judgeOfConcepts(judge, for: Self.name)
    let classes = try AttributeJudge(judge).classes(images) { try monitor.advance(to: $0, of: images.count) }
    return AttributeKind.allCases.enumerated().compactMap { position, kind in
      let concepts = card.concepts.filter { $0.judge.head == kind.rawValue }
      var (asked, right) = (0, 0)
      for (index, found) in classes.enumerated() {
        let named = concepts.filter { prompts[index % prompts.count].concepts.contains($0.name) }
        if let concept = named.first {
          asked += 1
          right += found[position] == concept.judge.classIndex ? 1 : 0
        } else if let concept = concepts.first, concepts.count == 1 {
          // A concept that is there or not, such as the mark: a prompt that does not name it asks for its absence.
          asked += 1
          right += found[position] != concept.judge.classIndex ? 1 : 0
        }
      }
      guard asked > 0 else { return nil }
      return MetricValue(
        "prompt_accuracy_\(kind.rawValue)", Double(right) / Double(asked), unit: "fraction", .higher, count: asked,
        judge: judge.label, details: ["set": .string(set)], interval: .wilson(right, of: asked),
        prompts: PromptSet(set, prompts.map(\.text)))
    }
  }

  private func prompts(_ context: MetricContext) throws -> [ModelCard.Prompt] {
    let card = try context.requireCard(for: Self.name)
    guard let prompts = card.promptSets[set], !prompts.isEmpty else {
      let known = card.promptSets.keys.sorted()
      throw MetricError(
        "\(Self.name): the base model \"\(card.name)\" declares no set of prompts \"\(set)\""
          + suggestion(for: set, among: known))
    }
    return prompts
  }
}
