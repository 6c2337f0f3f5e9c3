internal import Configuration
internal import Diffusion
internal import Metrics
internal import Store
internal import Tensors

/// One metric of a point: the images it looks at, and the key it has once they are there.
struct MetricStage {
  static let sourceFile = #fileID

  /// As the experiment names it.
  let name: String
  let metric: any Metric
  let context: MetricContext
  let requests: [ImageRequest]
  /// Images of the base model.
  let baseRequests: [ImageRequest]
  /// How its values are measured, so far as that is the same for all of them.
  let measurement: MeasurementProtocol
  private let parts: [String: JSON]

  /// As plans and records name the stage.
  var stageName: String { "metric.\(name)" }

  init(
    _ component: Component, _ context: MetricContext, sampler: SamplerSettings, base: BaseModel, digests: FileDigests,
    code: ComputingCode, siblings: [String]
  ) throws {
    guard let metric = component.configuration as? any Metric else {
      throw ConfigurationError("the metric \"\(component.name)\" is not built yet")
    }
    name = component.name
    self.metric = metric
    self.context = context
    requests = try metric.requests(context)
    baseRequests = try metric.baseRequests(context)
    var judges: [String: JSON] = [:]
    for path in try metric.judges(context) {
      let isInside = path.hasPrefix(base.folder + "/")
      // A name that holds wherever the model's folder lies.
      let name = isInside ? String(path.dropFirst(base.folder.count + 1)) : path
      judges[name] = .string(try digests.digest(ofFolder: path).hex)
    }
    // By what they hold and not by where they lie.
    let judgeDigests = judges.values.compactMap(\.string).sorted()
    measurement = MeasurementProtocol(
      metric: component.name, steps: sampler.steps, guidanceScale: sampler.guidanceScale,
      judgeDigest: judgeDigests.count > 1
        ? Digest(hashing: judgeDigests.joined(separator: "\n")) : judgeDigests.first.flatMap { Digest(hex: $0) })
    let rooms = code.parts(rooms: ["CKernels", "Tensors", "Diffusion", "Shapes"], stage: Self.sourceFile)
    let own = code.parts(component: type(of: metric).sourceFile, among: siblings)
    parts = [
      "metric": .string(component.name), "config": component.jsonAffectingResult["config"] ?? [:],
      "judges": .object(judges), "card": base.cardDigest.map { .string($0.hex) } ?? .null,
      "erased_concepts": .array(context.erasedConcepts.map { .string($0) }), "seed": context.seed.json,
      "code": .object(rooms.merging(own) { $1 }), "blas": code.blas,
    ]
  }

  /// The images that the metric looks at, in the order of its requests.
  ///
  /// - Returns: nil where one is missing.
  func images(_ edited: [ImageRequest: Digest], _ base: [ImageRequest: Digest]) -> ImageSet? {
    let pairs = requests.map { ($0, edited[$0]) } + baseRequests.map { ($0, base[$0]) }
    let entries = pairs.compactMap { request, digest in
      digest.map { ImageSet.Entry(request: request, digest: $0) }
    }
    return entries.count == pairs.count ? ImageSet(entries) : nil
  }

  /// - Parameter images: what the metric looks at, in the order of its requests.
  func key(images: ImageSet) -> StageKey {
    var parts = parts
    parts["images"] = .string(images.digest.hex)
    parts["image_count"] = .integer(images.entries.count)
    return StageKey(stage: stageName, parts: .object(parts))
  }

  /// The metric's values as JSON.
  func compute(_ images: ImageSet, from objects: ObjectStore, monitor: WorkMonitor) throws -> JSON {
    let pictures = try parallelMap(images.entries.count) { index in
      try ImageSet.picture(images.entries[index].digest, from: objects)
    }
    let values = try metric.evaluate(pictures, context, monitor: monitor)
    return ["format": .string(MetricValues.format), "values": .array(values.map(MetricValues.json))]
  }
}
