public import Configuration
public import Diffusion
internal import Shapes
public import Tensors

/// The perceptual distance (LPIPS; Zhang et al. 2018, arXiv 1801.03924) between the images of the edited model and
/// those that the base model draws of the same prompts from the same noise, on the maps of the judge: far apart where
/// the prompts name what is erased, close together where they do not.
public struct LPIPSConfiguration: Configuration {
  public var concept: ConceptNames?
  public var limit = 20
  public var retainLimit = 80
  public var weightsPath: String?
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<LPIPSConfiguration>] = [
    Field(
      "concept_name", \.concept, filledBy: .erasedConcepts, otherwise: nil, .named,
      "The concept that should be gone", source: "seed document 002, table 5", role: .concept),
    Field(
      "limit", \.limit, .between(1...mostImages), "Pairs of images of prompts of the concept",
      source: "seed document 002, table 5: 20 prompts an artist"),
    Field(
      "retain_limit", \.retainLimit, .between(0...mostImages),
      "Pairs of images of prompts of the other concepts of its kind together",
      source: "seed document 002, table 5: four other artists"),
    Field(
      "weights_path", \.weightsPath, .notEmpty,
      "A folder whose model.safetensors has learned weights of the channels, named as lpips names them; all channels "
        + "weigh the same if unset",
      role: .path),
    .judgeOfConcept(\.judge),
    .device(\.device),
  ]
}

extension LPIPSConfiguration: ImageMetric {
  public static let name = "lpips"
  public static let sourceFile = #fileID

  public func requests(_ context: MetricContext) throws -> [ImageRequest] {
    let plan = try plan(context)
    return plan.target + plan.retained
  }

  public func baseRequests(_ context: MetricContext) throws -> [ImageRequest] { try requests(context) }

  public func judges(_ context: MetricContext) throws -> [String] {
    // Read here already, so that weights that do not fit are refused before anything is drawn.
    _ = try distance(context)
    return [try judge(context).folder] + (weightsPath.map { [context.resolve($0)] } ?? [])
  }

  public func evaluate(
    _ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let plan = try plan(context)
    let judge = try AttributeJudge(judge(context))
    let distance = try distance(context)
    let half = images.count / 2
    let distances = try judge.distances(Array(images.prefix(half)), Array(images.suffix(half)), by: distance) {
      try monitor.advance(to: 2 * $0, of: images.count)
    }
    func value(
      _ name: String, _ requests: [ImageRequest], _ distances: [Double], _ direction: MetricValue.Direction,
      _ prompts: String
    ) throws -> MetricValue {
      MetricValue(
        name, distances.reduce(0, +) / Double(distances.count), unit: "perceptual distance", direction,
        count: distances.count, judge: judge.source.label, details: ["concept": .string(plan.concept.name)],
        interval: try Bootstrap(requests, of: name).mean(distances),
        prompts: context.conceptSet(prompts, ConceptPrompts.name.path),
        settings: ["weights": .string(weightsPath == nil ? "equal" : "learned")])
    }
    let (target, retained) = (
      Array(distances.prefix(plan.target.count)), Array(distances.dropFirst(plan.target.count))
    )
    var values = [try value(Self.name, plan.target, target, .higher, ConceptPrompts.name.setName)]
    if !retained.isEmpty {
      values.append(
        try value("lpips_others", plan.retained, retained, .lower, "prompts of the other concepts"))
    }
    return values
  }

  private func plan(_ context: MetricContext) throws -> (
    concept: JudgedConcept, target: [ImageRequest], retained: [ImageRequest]
  ) {
    let concept = try context.concept(concept, for: Self.name)
    let card = try context.requireCard(for: Self.name)
    let gone = [concept.name] + context.erasedConcepts
    let others = try context.others(than: concept, for: Self.name)
    return (
      concept,
      context.requests(
        limit, try ConceptPrompts.name.prompts(of: concept.concept, context, for: Self.name).map(\.text)),
      context.asked(retainLimit, inTurn: others.map { card.prompts(of: $0.concept, without: gone) }).map(\.request)
    )
  }

  private func distance(_ context: MetricContext) throws -> PerceptualDistance {
    guard let weightsPath else { return PerceptualDistance() }
    return try PerceptualDistance(folder: context.resolve(weightsPath), channels: JudgeNetwork.mapChannels)
  }

  private func judge(_ context: MetricContext) throws -> NamedJudge {
    try context.judge(of: context.concept(concept, for: Self.name), judge, for: Self.name)
  }
}

extension AttributeJudge {
  /// The perceptual distance of each pair of images.
  ///
  /// - Parameter advance: called after each batch with the number of pairs done
  /// - Throws: ``MetricError`` for images of another size than the judge reads.
  func distances(
    _ first: [RGBImage], _ second: [RGBImage], by distance: PerceptualDistance, advance: (Int) throws -> Void
  ) throws -> [Double] {
    try refuseOtherSizes(first + second, than: shapesImageSize, for: source)
    var distances: [Double] = []
    let size = 64
    for start in stride(from: 0, to: first.count, by: size) {
      let range = start..<min(start + size, first.count)
      distances += distance(
        network.maps(RGBImage.batch(Array(first[range]))), network.maps(RGBImage.batch(Array(second[range]))))
      try advance(range.upperBound)
    }
    return distances
  }
}
