public import Configuration
public import Diffusion
internal import Shapes
public import Tensors

/// The Fréchet distance (Heusel et al. 2017, arXiv 1706.08500) between the judge network's features of the images of
/// the card's general prompts, or of those of them that do not name a concept, and of reference images, each summed up
/// by mean and covariance.
///
/// The number of images is part of the value: a covariance of few samples is off by an amount that falls like 1 / N, so
/// that two sets of one distribution are far apart while they are small (real pictures of `shapes`: 47 with 200 against
/// 2,000, 10 with 2,000 against 2,000). Compare values of equal `limit` and `reference_limit` only, and expect no less
/// of a thousand images where the value itself matters.
public struct FIDConfiguration: Configuration {
  public var limit = 1000
  public var referenceLimit = 2000
  public var withoutConcept: String?
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<FIDConfiguration>] = [
    Field(
      "limit", \.limit, .between(2...mostImages), "Images drawn; values compare only at equal numbers",
      source: "seed document 000"),
    Field("reference_limit", \.referenceLimit, .between(2...mostImages), "Reference images"),
    .withoutConcept(\.withoutConcept),
    Field(
      "judge", \.judge, .notEmpty,
      "The judge whose features are compared, of those the base model names; the judge of its concepts if unset"),
    .device(\.device),
  ]
}

extension FIDConfiguration: Metric {
  public static let name = "fid"
  public static let sourceFile = #fileID

  public func requests(_ context: MetricContext) throws -> [ImageRequest] {
    context.requests(limit, try prompts(context))
  }

  public func judges(_ context: MetricContext) throws -> [String] { [try judge(context).folder] }

  public func evaluate(
    _ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let judge = try AttributeJudge(judge(context))
    let references = try references(context)
    let total = images.count + references.count
    let drawn = try judge.features(images) { try monitor.advance(to: $0, of: total) }
    let real = try judge.features(references) { try monitor.advance(to: images.count + $0, of: total) }
    let distance = try FeatureStatistics(drawn).frechetDistance(to: FeatureStatistics(real))
    return [
      MetricValue(
        Self.name, distance, unit: unit("squared feature distance", without: withoutConcept), .lower,
        count: images.count, judge: judge.source.label,
        details: [
          "features": .integer(drawn.shape[1]), "reference_images": .integer(references.count),
          "mean_feature": .number(Double(drawn.mean().item)),
          "reference_mean_feature": .number(Double(real.mean().item)),
        ])
    ]
  }

  /// Drawn pictures of what the general prompts say, each prompt in turn, so that their attributes are distributed as
  /// those of the images are meant to be.
  func references(_ context: MetricContext) throws -> [RGBImage] {
    let prompts = try prompts(context)
    let world = ShapesWorld()
    var attributes: [String: SceneAttributes] = [:]
    for prompt in world.labelledGeneralPrompts(try context.generalPrompts(for: Self.name).count) {
      attributes[prompt.text] = prompt.attributes
    }
    let described = try prompts.map { prompt in
      guard let described = attributes[prompt] else {
        throw MetricError(
          "fid: \"\(prompt)\" is no prompt of the drawn world, and only of that world are there reference images")
      }
      return described
    }
    let stream = RandomStream(seed: world.seed, "fid", "reference")
    return try parallelMap(referenceLimit) { index in
      Scene(described[index % described.count], stream: stream.item(index)).drawn()
    }
  }

  private func prompts(_ context: MetricContext) throws -> [String] {
    try context.generalPrompts(for: Self.name, without: withoutConcept.map { [$0] } ?? [])
  }

  private func judge(_ context: MetricContext) throws -> NamedJudge {
    if let judge { return try context.judge(judge, for: Self.name) }
    let card = try context.requireCard(for: Self.name)
    guard let first = card.concepts.first else {
      throw MetricError("fid: the base model \"\(card.name)\" declares no concepts and so no judge of them; name one")
    }
    return try context.judge(first.judge.judge, for: Self.name)
  }
}
