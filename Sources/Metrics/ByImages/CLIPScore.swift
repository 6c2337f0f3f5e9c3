public import Configuration
public import Diffusion
public import Tensors

/// The CLIP score: a hundred times the mean cosine between the CLIP embeddings of a prompt and of the image drawn from
/// it (after Hessel et al. 2021, arXiv 2104.08718, without its clamp at zero and its factor 2.5).
public struct CLIPScoreConfiguration: Configuration {
  public var limit = 300
  public var withoutConcept: String?
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<CLIPScoreConfiguration>] = [
    Field(
      "limit", \.limit, .between(1...mostImages), "Images drawn, one for each prompt", source: "seed document 000"),
    .withoutConcept(\.withoutConcept),
    Field("judge", \.judge, .notEmpty, "The CLIP model that judges, of those the base model names; \"clip\" if unset"),
    .device(\.device),
  ]
}

extension CLIPScoreConfiguration: ImageMetric {
  public static let name = "clip_score"
  public static let sourceFile = #fileID

  public func requests(_ context: MetricContext) throws -> [ImageRequest] {
    context.requests(limit, try context.generalPrompts(for: Self.name, without: leftOut))
  }

  public func judges(_ context: MetricContext) throws -> [String] {
    CLIPJudge.folders(of: try judge(context), context)
  }

  public func evaluate(
    _ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let judge = try CLIPJudge(judge(context), context, for: Self.name)
    let requests = try requests(context)
    let cosines = try judge.cosines(images, requests.map(\.prompt)) {
      try monitor.advance(to: $0, of: images.count)
    }
    let mean = cosines.reduce(0, +) / Double(cosines.count)
    let variance = cosines.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(1, cosines.count - 1))
    return [
      MetricValue(
        Self.name, 100 * mean, unit: unit("100 x cosine", without: leftOut), .higher, count: images.count,
        judge: judge.source.label,
        details: ["standard_deviation": .number(100 * variance.squareRoot())],
        interval: try Bootstrap(requests, of: Self.name).mean(cosines.map { 100 * $0 }),
        prompts: context.generalSet(without: leftOut))
    ]
  }

  private var leftOut: [String] { withoutConcept.map { [$0] } ?? [] }

  private func judge(_ context: MetricContext) throws -> NamedJudge {
    try context.judge(judge ?? "clip", for: Self.name, .clip)
  }
}
