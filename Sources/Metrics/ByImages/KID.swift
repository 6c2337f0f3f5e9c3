public import Configuration
public import Diffusion
public import Tensors

/// The kernel distance (KID; Bińkowski et al. 2018, arXiv 1801.01401) between the judge network's features of the
/// images of the card's general prompts and of reference images: the mean over random subsets of both, as clean-fid and
/// the paper's own code compute it. Unlike FID it does not shift with the number of images.
public struct KIDConfiguration: Configuration {
  public var limit = 1000
  public var referenceLimit = 2000
  public var subsets = 100
  public var subsetSize = 1000
  public var withoutConcept: String?
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<KIDConfiguration>] = [
    Field("limit", \.limit, .between(2...mostImages), "Images drawn"),
    Field("reference_limit", \.referenceLimit, .between(2...mostImages), "Reference images"),
    Field(
      "subsets", \.subsets, .between(1...10_000), "Random subsets, over which the mean is taken", source: "clean-fid"),
    Field(
      "subset_size", \.subsetSize, .between(2...10_000),
      "Images in a subset of either set, at most as many as the smaller set has", source: "clean-fid"),
    .withoutConcept(\.withoutConcept),
    Field(
      "judge", \.judge, .notEmpty,
      "The judge whose features are compared, of those the base model names; the judge of its concepts if unset"),
    .device(\.device),
  ]
}

extension KIDConfiguration: ImageMetric {
  public static let name = "kid"
  public static let sourceFile = #fileID

  public func requests(_ context: MetricContext) throws -> [ImageRequest] {
    context.requests(limit, try prompts(context))
  }

  public func judges(_ context: MetricContext) throws -> [String] {
    [try context.judgeOfConcepts(judge, for: Self.name).folder]
  }

  public func evaluate(
    _ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let judge = try AttributeJudge(context.judgeOfConcepts(judge, for: Self.name))
    let references = try context.referenceImages(referenceLimit, of: prompts(context), for: Self.name)
    let total = images.count + references.count
    let drawn = Matrix(try judge.features(images) { try monitor.advance(to: $0, of: total) })
    let real = Matrix(try judge.features(references) { try monitor.advance(to: images.count + $0, of: total) })
    let size = min(subsetSize, min(drawn.rows, real.rows))
    let stream = RandomStream(seed: context.seed, "kid", "subsets")
    let distances = try parallelMap(subsets) { subset in
      let draws = stream.item(subset)
      func some(_ features: Matrix, _ name: String) -> Matrix {
        features.selectingRows(draws.substream(name).permutation(features.rows).prefix(size))
      }
      return KernelDistance.squared(some(drawn, "drawn"), some(real, "reference"))
    }
    let mean = distances.reduce(0, +) / Double(distances.count)
    return [
      MetricValue(
        Self.name, mean, unit: unit("squared kernel distance", without: leftOut), .lower, count: images.count,
        judge: judge.source.label,
        details: [
          "reference_images": .integer(references.count), "subsets": .integer(subsets), "subset_size": .integer(size),
          "features": .integer(drawn.columns),
        ],
        interval: try Bootstrap(requests(context), of: Self.name).kernelDistance(mean, of: drawn, to: real),
        prompts: context.generalSet(without: leftOut),
        settings: [
          "reference_images": .integer(references.count), "subsets": .integer(subsets), "subset_size": .integer(size),
        ])
    ]
  }

  private var leftOut: [String] { withoutConcept.map { [$0] } ?? [] }

  private func prompts(_ context: MetricContext) throws -> [String] {
    try context.generalPrompts(for: Self.name, without: leftOut)
  }
}
