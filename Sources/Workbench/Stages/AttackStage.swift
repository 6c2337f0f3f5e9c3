internal import Attacks
internal import Configuration
internal import Diffusion
internal import Metrics
internal import Store
internal import Synchronization
internal import Tensors

/// One attack of a point, on the prompts of all metrics that are measured under it. Every prompt has a key of its own,
/// so that an interrupted search goes on with the next prompt, and a larger limit searches the new ones alone.
struct AttackStage {
  static let sourceFile = #fileID

  /// The attack's name, or that of its control.
  let name: String
  let attack: any Attack
  let targets: [AttackTarget]
  /// Where the file lies that takes the place of the search.
  let precomputed: String?
  let context: MetricContext
  private let parts: [String: JSON]

  /// The name of an attack's control.
  static func control(of attack: String) -> String { attack + ".control" }

  /// As plans and records name the stage.
  var stageName: String { Self.stageName(name) }
  static func stageName(_ attack: String) -> String { "attack.\(attack)" }

  /// - Parameter settings: what decides an image of the point beside its prompt and its edit
  init(
    name: String, _ attack: any Attack, _ targets: [AttackTarget], _ context: MetricContext, point: ExperimentPoint,
    base: BaseModel, digests: FileDigests, code: ComputingCode, catalogue: Catalogue, settings: [String: JSON]
  ) throws {
    self.name = name
    self.attack = attack
    self.targets = targets
    self.context = context
    precomputed = attack.precomputedPromptsPath.map(point.resolve)
    var judges: [String: JSON] = [:]
    for concept in Set(targets.map(\.concept)) {
      let folder = try ConceptDetector.folder(concept, context, for: name)
      judges[concept] = .string(try digests.digest(ofFolder: folder).hex)
    }
    if attack.comparesImages {
      judges["clip"] = .array(
        try ImageEmbedder.folders(context, for: name).map { .string(try digests.digest(ofFolder: $0).hex) })
    }
    let rooms = code.parts(rooms: ["CKernels", "Tensors", "Diffusion", "Shapes"], stage: Self.sourceFile)
    let judging = code.parts(sharedIn: "Metrics", among: catalogue.metricFiles)
    let own = code.parts(component: type(of: attack).sourceFile, among: catalogue.attackFiles)
    var parts: [String: JSON] = [
      "attack": .string(type(of: attack).name), "config": attack.encode(affectingResult: true),
      "base": .string(base.digest.hex), "card": base.cardDigest.map { .string($0.hex) } ?? .null,
      "judges": .object(judges), "seed": context.seed.json,
      "code": .object(rooms.merging(judging) { $1 }.merging(own) { $1 }), "blas": code.blas,
    ]
    // What is found on the text encoder alone serves every technique, however its images are drawn.
    if attack.access != .textEncoder { parts["images"] = .object(settings) }
    self.parts = parts
  }

  /// - Parameter edited: what decides an image of the edited model beside its prompt
  func key(of target: AttackTarget, edited: [String: JSON]) -> StageKey {
    var parts = parts
    if attack.access == .editedModel { parts["edited"] = .object(edited) }
    parts["target"] = [
      "prompt": .string(target.prompt), "concept": .string(target.concept), "seed": target.seed.json,
      "repetition": .integer(target.repetition),
    ]
    return StageKey(stage: stageName, parts: .object(parts))
  }

  /// The prompts of the file that takes the place of the search; nil where there is none.
  ///
  /// - Throws: `CSVError` for a file that cannot be read, `AttackError` where it has no prompt for a target or one that
  ///   the text encoder would cut.
  func precomputedPrompts() throws -> AdversarialPrompts? {
    guard let precomputed else { return nil }
    let tokenizer = try CLIPTokenizer(folder: context.modelFolder + "/tokenizer")
    return AdversarialPrompts(
      targets: targets, found: try AdversarialPrompts.read(precomputed, for: targets, tokenizer))
  }

  /// Refuses what can be seen to be wrong with the attack, its prompts and the file in place of its search before
  /// anything is computed.
  ///
  /// - Throws: `ConfigurationError` that names the experiment and the setting
  func check(_ model: DiffusionModel, for point: ExperimentPoint) throws(ConfigurationError) {
    // A metric may bring the attack that is named after it; a control is never named, and as wrong as its attack.
    let place = point.attacks.contains { $0.name == name } ? "attacks" : "metrics"
    var key = "config"
    do {
      if precomputed != nil {
        key = "config.precomputed_prompts_path"
        _ = try precomputedPrompts()
      } else {
        try attack.check(model, prompts: targets.map(\.prompt))
      }
    } catch {
      throw ConfigurationError(file: point.file, keyPath: "\(place).\(name).\(key)", "\(error)")
    }
  }

  /// What the searches are made with.
  ///
  /// - Parameter attacked: the edited model, as images are drawn with it
  func context(
    base: DiffusionModel, attacked: DiffusionModel, sampler: SamplerSettings, monitor: WorkMonitor
  ) throws -> AttackContext {
    var detectors: [String: ConceptDetector] = [:]
    for target in targets where detectors[target.concept] == nil {
      detectors[target.concept] = try ConceptDetector(target.concept, context, for: name)
    }
    let known = detectors
    let (metrics, name) = (context, name)
    // Read from its folder by the first search that asks, for most attacks do not.
    let embedder = Mutex<ImageEmbedder?>(nil)
    return AttackContext(
      base: base, attacked: attack.access == .editedModel ? attacked : base, sampler: sampler, seed: metrics.seed,
      monitor: monitor,
      judge: { concept, images in
        guard let detector = known[concept] else { throw AttackError("\(name): nobody judges \"\(concept)\"") }
        return try detector.verdicts(images).map {
          AttackContext.Verdict(isFound: $0.isFound, probability: $0.probability)
        }
      },
      imageEmbeddings: { images in
        let embedder = try embedder.withLock { known in
          let embedder = try known ?? ImageEmbedder(metrics, for: name)
          known = embedder
          return embedder
        }
        return try embedder.embeddings(images)
      })
  }

  /// Searches some of the targets, several at once, and hands on each result as soon as it is there.
  ///
  /// - Parameters:
  ///   - missing: positions among ``targets``
  ///   - finished: a position and what was found; called on several threads at once
  func search(
    _ missing: [Int], _ context: AttackContext, finished: (Int, AdversarialPrompt) throws -> Void
  ) throws {
    var concepts: [String] = []
    for position in missing where !concepts.contains(targets[position].concept) {
      concepts.append(targets[position].concept)
    }
    let prepared = try attack.prepare(concepts, context)
    _ = try parallelMap(missing.count) { index in
      if context.monitor.isCancelled() { throw CancellationError() }
      let position = missing[index]
      try finished(position, attack.search(targets[position], context, prepared: prepared))
    }
  }
}
