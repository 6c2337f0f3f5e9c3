internal import Attacks
internal import Configuration
internal import Diffusion
internal import Metrics
internal import Store
internal import Tensors

/// One metric of a point that looks at images: which they are, and the key it has once they are there.
struct MetricStage {
  static let sourceFile = #fileID

  /// As the experiment names it, with the attack that it is measured under.
  let name: String
  let metric: any ImageMetric
  let context: MetricContext
  let requests: [ImageRequest]
  /// Images of the base model.
  let baseRequests: [ImageRequest]
  /// The attack that the images of ``requests`` are drawn under.
  let underAttack: MetricUnderAttack?
  /// How its values are measured, so far as that is the same for all of them.
  let measurement: MeasurementProtocol
  /// The folders of its judges.
  let judgeFolders: [String]
  private let parts: [String: JSON]

  /// As plans and records name the stage.
  var stageName: String { "metric.\(name)" }

  init(
    _ component: Component, _ metric: any ImageMetric, _ context: MetricContext, sampler: SamplerSettings,
    base: BaseModel, digests: FileDigests, code: ComputingCode, siblings: [String]
  ) throws {
    name = component.label
    self.metric = metric
    self.context = context
    requests = try metric.requests(context)
    baseRequests = try metric.baseRequests(context)
    underAttack = try metric.underAttack(context)
    var judges: [String: JSON] = [:]
    judgeFolders = try metric.judges(context)
    for path in judgeFolders {
      let isInside = path.hasPrefix(base.folder + "/")
      // A name that holds wherever the model's folder lies.
      let name = isInside ? String(path.dropFirst(base.folder.count + 1)) : path
      judges[name] = .string(try digests.digest(ofFolder: path).hex)
    }
    // By what they hold and not by where they lie.
    let judgeDigests = judges.values.compactMap(\.string).sorted()
    measurement = MeasurementProtocol(
      metric: component.name, sampler: try (sampler.scheduler ?? base.scheduler).title(eta: sampler.eta),
      steps: sampler.steps, guidanceScale: sampler.guidanceScale,
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

  // MARK: What the metric looks at

  /// Images that one set of values is computed from.
  struct Look {
    /// What the names of the values end in; empty for a metric of plain prompts.
    let suffix: String
    let images: ImageSet
    /// What searched its adversarial prompts, its name and settings, and how the searches ended.
    let attack: JSON?
    let searches: JSON?
  }

  /// The images under the attack and under its control, for the prompts that were found.
  ///
  /// - Parameter prompts: by the name of the stage's attack and of its control
  func requests(under prompts: [String: AdversarialPrompts]) -> [ImageRequest] {
    lookNames.flatMap { name in prompts[name].map(requests(with:)) ?? [] }
  }

  /// The names of the attack and of its control; none for a metric of plain prompts.
  var lookNames: [String] {
    guard let underAttack else { return [] }
    return [underAttack.name] + (underAttack.attack.control == nil ? [] : [AttackStage.control(of: underAttack.name)])
  }

  /// The requests with the adversarial prompt of each in its place, and the noise that the prompt itself would have.
  private func requests(with prompts: AdversarialPrompts) -> [ImageRequest] {
    zip(requests, underAttack?.targets ?? []).compactMap { request, target in
      prompts.found[target].map {
        ImageRequest(
          prompt: $0.text, seed: request.seed, repetition: request.repetition, noisePrompt: request.prompt)
      }
    }
  }

  /// What the metric looks at, in the order of its requests; nil where an image is missing.
  func looks(
    _ edited: [ImageRequest: Digest], _ base: [ImageRequest: Digest], prompts: [String: AdversarialPrompts]
  ) -> [Look]? {
    guard let underAttack else {
      return images(requests, edited, base).map { [Look(suffix: "", images: $0, attack: nil, searches: nil)] }
    }
    let looks = lookNames.compactMap { name -> Look? in
      guard let found = prompts[name], let images = images(requests(with: found), edited, base) else { return nil }
      let isControl = name != underAttack.name
      return Look(
        suffix: underAttack.suffix + (isControl ? "_control" : ""), images: images,
        attack: isControl ? underAttack.attack.control.map(Self.words) : Self.words(of: underAttack.attack),
        searches: found.summary(of: underAttack.targets))
    }
    return looks.count == lookNames.count ? looks : nil
  }

  private static func words(of attack: any Attack) -> JSON {
    ["name": .string(type(of: attack).name), "config": attack.encode(affectingResult: true)]
  }

  private func images(
    _ requests: [ImageRequest], _ edited: [ImageRequest: Digest], _ base: [ImageRequest: Digest]
  ) -> ImageSet? {
    let pairs = requests.map { ($0, edited[$0]) } + baseRequests.map { ($0, base[$0]) }
    let entries = pairs.compactMap { request, digest in
      digest.map { ImageSet.Entry(request: request, digest: $0) }
    }
    return entries.count == pairs.count ? ImageSet(entries) : nil
  }

  func key(_ looks: [Look]) -> StageKey {
    var parts = parts
    if looks.count == 1, looks[0].searches == nil {
      parts["images"] = .string(looks[0].images.digest.hex)
    } else {
      parts["images"] = .object(
        Dictionary(uniqueKeysWithValues: looks.map { ($0.suffix, .string($0.images.digest.hex)) }))
      parts["searches"] = .object(Dictionary(uniqueKeysWithValues: looks.map { ($0.suffix, $0.searches ?? .null) }))
      parts["attacks"] = .object(Dictionary(uniqueKeysWithValues: looks.map { ($0.suffix, $0.attack ?? .null) }))
    }
    parts["image_count"] = .integer(looks.reduce(0) { $0 + $1.images.entries.count })
    return StageKey(stage: stageName, parts: .object(parts))
  }

  /// The metric's values as JSON.
  func compute(_ looks: [Look], from objects: ObjectStore, monitor: WorkMonitor) throws -> JSON {
    let values = try looks.flatMap { look in
      let pictures = try parallelMap(look.images.entries.count) { index in
        try ImageSet.picture(look.images.entries[index].digest, from: objects)
      }
      return try metric.evaluate(pictures, context, monitor: monitor).map { value in
        var value = value
        value.name += look.suffix
        if let searches = look.searches {
          value.settings["attack"] = look.attack
          value.details = .object((value.details.object ?? [:]).merging(["attack": searches]) { $1 })
        }
        return value
      }
    }
    return ["format": .string(MetricValues.format), "values": .array(values.map(MetricValues.json))]
  }
}
