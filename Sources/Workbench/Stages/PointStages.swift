internal import Attacks
internal import Configuration
internal import Diffusion
internal import Erasure
internal import Metrics
internal import Store

extension ExperimentPoint {
  /// What files of the point's edit name as their maker.
  func maker(_ technique: any Technique) -> EditFile.Maker {
    EditFile.Maker(technique: type(of: technique).name, concepts: self.technique.erasedConcepts)
  }

  /// Has a refusal of the file that the edit is loaded from say which setting of which experiment names it.
  func namingLoadPath<Result>(_ body: () throws -> Result) throws(ConfigurationError) -> Result {
    do {
      return try body()
    } catch {
      throw ConfigurationError(file: file, keyPath: technique.keyPath + ".config.load_path", "\(error)")
    }
  }
}

/// The stages of one experiment point and the cache keys that they have, as far as each can be known.
///
///     base ── fisher.forget ─┐
///       │ └── fisher.retain ─┴─ edit ── images ── metric.cer, metric.fid, ...
///       │                    │      └── images under attack ──┤
///       │                    └── attack.p4d, ... ──┘            │
///       └── images.base, where a metric compares with them ─────┘
///
/// A key names what the stage reads by its bytes: that of an edit holds the digests of its estimates, that of an image
/// the digest of the edit, that of a metric the digest of its images. So equal intermediate results share everything
/// that follows, whatever they came from, and a key is known once the stages before it are.
struct PointStages {
  let point: ExperimentPoint
  let technique: any Technique
  let base: BaseModel
  /// Of the images and the attacks.
  let seed: UInt64
  /// Of the edit and its estimates.
  let editSeed: UInt64
  let estimates: [Estimate]
  let metrics: [MetricStage]
  /// The metrics that look into the edited model.
  let modelMetrics: [ModelMetricStage]
  /// Whether the cost of the edit is asked for.
  var measuresCost: Bool { point.metrics.contains { $0.configuration is CostConfiguration } }
  /// The attacks that metrics are measured under, each with its control behind it.
  let attacks: [AttackStage]
  /// The images of all metrics of plain prompts, each once, in the order in which they are first asked for.
  let requests: [ImageRequest]
  /// The images of the base model that metrics compare with, each once.
  let baseRequests: [ImageRequest]
  /// Where the files lie that estimates are made from, and their digests.
  let files: [EstimateFile: (path: String, digest: Digest)]
  /// The digest of the file that the edit is loaded from instead of being computed.
  let loaded: Digest?

  private let code: ComputingCode
  private let techniqueCode: TechniqueCode
  private let imageParts: [String: JSON]

  init(
    _ point: ExperimentPoint, base: BaseModel, digests: FileDigests, code: ComputingCode, catalogue: Catalogue
  ) throws {
    guard let technique = point.technique.configuration as? any Technique else {
      throw ConfigurationError(file: point.file, "the technique \"\(point.technique.name)\" is not built yet")
    }
    let seed = UInt64(clamping: point.seed)
    self.point = point
    self.technique = technique
    self.base = base
    self.seed = seed
    editSeed = point.editSeed.map { UInt64(clamping: $0) } ?? seed
    self.code = code
    estimates = technique.estimates(seed: editSeed)
    files = try Self.files(of: estimates, point, base, digests)
    techniqueCode = TechniqueCode(code: code, techniqueFiles: catalogue.techniqueFiles)
    loaded = try technique.loadPath.map { path in
      try point.namingLoadPath {
        let file = try EditFile(point.resolve(path), toBe: "read")
        let digest = try digests.digest(ofFile: file.path)
        try file.refuseOther(than: point.maker(technique))
        return digest
      }
    }
    (metrics, modelMetrics) = try Self.metrics(
      of: point, base: base, digests: digests, code: code, catalogue: catalogue)
    requests = Self.distinct(metrics.flatMap { $0.underAttack == nil ? $0.requests : [] })
    baseRequests = Self.distinct(metrics.flatMap(\.baseRequests))

    let settings = technique.samplerSettings
    let scheduler = try base.scheduler
    var parts: [String: JSON] = [
      "base": .string(base.digest.hex), "num_inference_steps": .integer(settings.steps),
      "guidance_scale": .number(settings.guidanceScale), "negative_prompt": .string(settings.negativePrompt),
      "weights": technique.generation.useFP16 ? "float16" : "float32",
      "code": .object(code.parts(rooms: ["CKernels", "Tensors", "Diffusion"], stage: ImageStage.sourceFile)),
      "blas": code.blas,
    ]
    parts["height"] = settings.height.map { .integer($0) }
    parts["width"] = settings.width.map { .integer($0) }
    // The folder's own scheduler is in the digest of the base model.
    if let chosen = settings.scheduler, chosen != scheduler { parts["scheduler"] = chosen.json }
    if settings.eta != 0 { parts["eta"] = .number(settings.eta) }
    imageParts = parts
    attacks = try Self.attacks(
      on: metrics.compactMap(\.underAttack) + modelMetrics.compactMap(\.underAttack),
      metrics.first?.context ?? modelMetrics.first?.context, point, base: base, digests: digests, code: code,
      catalogue: catalogue, settings: parts)
  }

  private static func files(
    of estimates: [Estimate], _ point: ExperimentPoint, _ base: BaseModel, _ digests: FileDigests
  ) throws -> [EstimateFile: (path: String, digest: Digest)] {
    var files: [EstimateFile: (path: String, digest: Digest)] = [:]
    for file in estimates.flatMap(\.files) where files[file] == nil {
      let path: String
      switch file {
      case .named(let name): path = point.resolve(name)
      case .declaredAutoencoder(let layer):
        do throws(ConfigurationError) {
          path = try base.declaredAutoencoder(of: layer)
        } catch {
          throw error.inside(file: point.file, keyPath: "")
        }
      }
      files[file] = (path, try digests.digest(ofFile: path))
    }
    return files
  }

  /// The metrics of a point.
  ///
  /// - Throws: `ConfigurationError` for one that its base model cannot answer.
  static func metrics(
    of point: ExperimentPoint, base: BaseModel, digests: FileDigests, code: ComputingCode, catalogue: Catalogue
  ) throws -> ([MetricStage], [ModelMetricStage]) {
    let attacks = point.attacks.compactMap { attack in
      (attack.configuration as? any Attack).map { (attack.name, $0) }
    }
    let context = MetricContext(
      modelFolder: base.folder, card: base.card, erasedConcepts: point.technique.erasedConcepts,
      attacks: Dictionary(uniqueKeysWithValues: attacks), seed: UInt64(clamping: point.seed), folder: point.folder)
    let sampler = (point.technique.configuration as? any Technique)?.samplerSettings ?? SamplerSettings()
    var (metrics, modelMetrics) = ([MetricStage](), [ModelMetricStage]())
    for component in point.metrics {
      do {
        switch component.configuration {
        case let metric as any ImageMetric:
          metrics.append(
            try MetricStage(
              component, metric, context, sampler: sampler, base: base, digests: digests, code: code,
              siblings: catalogue.metricFiles))
        case let metric as any ModelMetric:
          modelMetrics.append(
            try ModelMetricStage(
              component, metric, context, sampler: sampler, base: base, code: code, siblings: catalogue.metricFiles))
        // Measured where the edit is made; see PointExecution.
        case is CostConfiguration: break
        default: throw MetricError("the metric \"\(component.name)\" is not built yet")
        }
      } catch let error as MetricError {
        // Its sentence begins with the metric's name, which the key path ends with.
        let sentence = error.description.replacing(component.name + ": ", with: "", maxReplacements: 1)
        throw ConfigurationError(file: point.file, keyPath: component.keyPath, sentence)
      }
    }
    return (metrics, modelMetrics)
  }

  /// Each attack once, on the prompts of all metrics that are measured under it.
  private static func attacks(
    on measured: [MetricUnderAttack], _ context: MetricContext?, _ point: ExperimentPoint, base: BaseModel,
    digests: FileDigests, code: ComputingCode, catalogue: Catalogue, settings: [String: JSON]
  ) throws -> [AttackStage] {
    guard let context else { return [] }
    var names: [String] = []
    for attack in measured where !names.contains(attack.name) { names.append(attack.name) }
    return try names.flatMap { name in
      let measured = measured.filter { $0.name == name }
      var seen: Set<AttackTarget> = []
      let targets = measured.flatMap(\.targets).filter { seen.insert($0).inserted }
      let attack = measured.first?.attack
      return try [(name, attack), (AttackStage.control(of: name), attack?.control)].compactMap { name, attack in
        try attack.map {
          try AttackStage(
            name: name, $0, targets, context, point: point, base: base, digests: digests, code: code,
            catalogue: catalogue, settings: settings)
        }
      }
    }
  }

  private static func distinct(_ requests: [ImageRequest]) -> [ImageRequest] {
    var seen: Set<ImageRequest> = []
    return requests.filter { seen.insert($0).inserted }
  }

  /// The technique's settings that decide the edit.
  private var techniqueConfig: JSON {
    var config = point.technique.jsonAffectingResult["config"]?.object ?? [:]
    // By its definition a setting of generation alone.
    config["use_fp16"] = nil
    return .object(config)
  }

  /// - Parameter estimates: the digest of each estimate's tensor set, by its name.
  /// - Returns: nil while one that it needs is not there.
  func key(of estimate: Estimate, estimates: [String: Digest]) -> StageKey? {
    estimate.key(base: base, code: techniqueCode, estimates: estimates, files: files.mapValues(\.digest))
  }

  /// - Parameter estimates: the digest of each estimate's tensor set, by its name.
  func editKey(estimates: [String: Digest]) -> StageKey {
    var parts: [String: JSON] = ["base": .string(base.digest.hex)]
    if let loaded {
      // What the file holds is the edit: no setting of the technique changes it, and only its figures are computed.
      parts["loaded"] = .string(loaded.hex)
      parts["code"] = .object(code.parts(rooms: [], stage: EditStage.sourceFile))
      return StageKey(stage: "edit", parts: .object(parts))
    }
    // By the one name of a technique that experiments know by several.
    parts["technique"] = .string(type(of: technique).name)
    parts["config"] = techniqueConfig
    parts["estimates"] = .object(estimates.mapValues { .string($0.hex) })
    parts["seed"] = editSeed.json
    parts["code"] = techniqueCode.json(stage: EditStage.sourceFile, components: type(of: technique).sourceFiles)
    parts["blas"] = code.blas
    return StageKey(stage: "edit", parts: .object(parts))
  }

  /// The key of an image of the base model: that of an image after an edit that changes nothing.
  func baseKey(of request: ImageRequest) -> StageKey {
    var parts = imageParts
    parts["edit"] = .string(StoredEdit.none.hex)
    return key(of: request, parts)
  }

  func key(of request: ImageRequest, edit: StoredEdit) -> StageKey {
    key(of: request, imageParts.merging(editParts(edit)) { $1 })
  }

  func key(of target: AttackTarget, _ attack: AttackStage, edit: StoredEdit) -> StageKey {
    attack.key(of: target, edited: editParts(edit))
  }

  func key(of metric: ModelMetricStage, edit: StoredEdit, prompts: [String: AdversarialPrompts]) -> StageKey? {
    metric.key(edited: editParts(edit), prompts: prompts)
  }

  /// What an image's key says of the edited model.
  private func editParts(_ edit: StoredEdit) -> [String: JSON] {
    var parts: [String: JSON] = [:]
    parts["edit"] = .string(edit.tensors.hex)
    parts["text_encoder"] = edit.textEncoder.map { .string($0.hex) }
    parts["mask"] = edit.mask.map { .string($0.hex) }
    if technique.changesDrawing {
      parts["inference"] = [
        "technique": .string(type(of: technique).name), "config": techniqueConfig,
        "tensors": edit.inference.map { .string($0.hex) } ?? .null,
        "code": techniqueCode.json(stage: ImageStage.sourceFile, components: type(of: technique).sourceFiles),
      ]
    }
    return parts
  }

  private func key(of request: ImageRequest, _ parts: [String: JSON]) -> StageKey {
    var parts = parts
    parts["prompt"] = .string(request.prompt)
    parts["seed"] = request.seed.json
    parts["repetition"] = .integer(request.repetition)
    parts["noise_prompt"] = request.noisePrompt.map { .string($0) }
    return StageKey(stage: "image", parts: .object(parts))
  }

  /// The images of all metrics under attack, each once.
  func requests(under prompts: [String: AdversarialPrompts]) -> [ImageRequest] {
    Self.distinct(metrics.flatMap { $0.requests(under: prompts) })
  }

  /// The linear algebra that all keys name.
  var blas: JSON { code.blas }

  /// One key for all images together: no cache entry has it, it only says in a record what was asked.
  static func imagesKey(_ keys: [StageKey]) -> StageKey { together(keys, as: "images") }

  /// The same for whatever has a key of its own for each of its parts.
  static func together(_ keys: [StageKey], as stage: String) -> StageKey {
    StageKey(stage: stage, parts: [stage: .array(keys.map { .string($0.digest.hex) })])
  }
}
