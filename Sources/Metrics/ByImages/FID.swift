public import Configuration
public import Diffusion
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

extension FIDConfiguration: ImageMetric {
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
    let references = try context.referenceImages(referenceLimit, of: prompts(context), for: Self.name)
    let total = images.count + references.count
    let drawn = try judge.features(images) { try monitor.advance(to: $0, of: total) }
    let real = try judge.features(references) { try monitor.advance(to: images.count + $0, of: total) }
    let statistics = FeatureStatistics(real)
    let distance = try FeatureStatistics(drawn).frechetDistance(to: statistics)
    var details: [String: JSON] = [
      "features": .integer(drawn.shape[1]), "reference_images": .integer(references.count),
      "mean_feature": .number(Double(drawn.mean().item)),
      "reference_mean_feature": .number(Double(real.mean().item)),
    ]
    // With as many images as features there is a covariance of full rank at best by chance.
    if min(images.count, references.count) <= drawn.shape[1] {
      details["warning"] = .string(
        "\(min(images.count, references.count)) images for \(drawn.shape[1]) features: the covariance has less than "
          + "full rank, and the value says more of the number of images than of the images")
    }
    return [
      MetricValue(
        Self.name, distance, unit: unit("squared feature distance", without: leftOut), .lower,
        count: images.count, judge: judge.source.label,
        details: .object(details),
        interval: try Bootstrap(requests(context), of: Self.name)
          .frechetDistance(distance, of: drawn, to: statistics),
        prompts: context.generalSet(without: leftOut),
        settings: ["reference_images": .integer(references.count)])
    ]
  }

  private var leftOut: [String] { withoutConcept.map { [$0] } ?? [] }

  private func prompts(_ context: MetricContext) throws -> [String] {
    try context.generalPrompts(for: Self.name, without: leftOut)
  }

  private func judge(_ context: MetricContext) throws -> NamedJudge {
    try context.judgeOfConcepts(judge, for: Self.name)
  }
}
