public import Configuration
public import Diffusion
public import Tensors

/// The structural similarity between the images of the edited model and those that the base model draws of the same
/// prompts from the same noise: how much of the layout of unrelated images an edit leaves.
public struct SSIMConfiguration: Configuration {
  public var limit = 1000
  public var window = 25
  public var withoutConcept: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<SSIMConfiguration>] = [
    Field("limit", \.limit, .between(1...mostImages), "Pairs of images", source: "seed document 003"),
    Field(
      "window", \.window, .between(3...1023), "Height and width of a window in pixels, odd",
      source: "seed document 003"),
    .withoutConcept(\.withoutConcept, otherwise: "what the technique erases"),
    .device(\.device),
  ]

  public func validate() throws(ConfigurationError) {
    if window % 2 == 0 {
      throw ConfigurationError(keyPath: "window", "expected an odd number of pixels, found \(window)")
    }
  }
}

extension SSIMConfiguration: ImageMetric {
  public static let name = "ssim"
  public static let sourceFile = #fileID

  /// The card's general prompts without those that name what is erased.
  public func requests(_ context: MetricContext) throws -> [ImageRequest] {
    context.requests(limit, try context.generalPrompts(for: Self.name, without: leftOut(context)))
  }

  public func baseRequests(_ context: MetricContext) throws -> [ImageRequest] { try requests(context) }

  public func judges(_ context: MetricContext) -> [String] { [] }

  public func evaluate(
    _ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let similarity = StructuralSimilarity(window: window)
    let half = images.count / 2
    let values = try parallelMap(half) { try similarity.mean(images[$0], images[half + $0]) }
    try monitor.advance(to: half, of: half)
    return [
      MetricValue(
        Self.name, values.reduce(0, +) / Double(values.count),
        unit: unit("structural similarity", without: leftOut(context)), .higher, count: values.count, judge: "",
        details: ["window": .integer(window)],
        interval: try Bootstrap(requests(context), of: Self.name).mean(values),
        prompts: context.generalSet(without: leftOut(context)), settings: ["window": .integer(window)])
    ]
  }

  private func leftOut(_ context: MetricContext) -> [String] {
    withoutConcept.map { [$0] } ?? context.erasedConcepts
  }
}
