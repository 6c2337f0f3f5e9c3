internal import Attacks
internal import Configuration
internal import Diffusion
internal import Erasure
internal import Metrics
internal import Store
internal import Synchronization
internal import Tensors

/// Takes one experiment point through its stages. What is done stays readable when an error ends it half way.
final class PointExecution {
  private(set) var stages: [RunRecord.Stage] = []
  private(set) var outputs: [RunRecord.Output] = []
  private(set) var metrics: [RunRecord.Metric] = []

  private let point: ExperimentPoint
  private let runner: Runner
  private let results: StageResults
  private let monitor: RunMonitor
  private let objects: ObjectStore

  /// What this execution has computed itself and need not read back, by the digest of the set that keeps it.
  private var tensors: [Digest: [String: Tensor]] = [:]

  init(_ point: ExperimentPoint, runner: Runner, monitor: RunMonitor) {
    self.point = point
    self.runner = runner
    self.monitor = monitor
    results = runner.results
    objects = runner.store.objects
  }

  func run() throws {
    let began = ContinuousClock.now
    let plan = try runner.stages(of: point)
    // Said before hours of work and not after them.
    try point.checkWrittenFiles()
    if let path = plan.technique.savePath { try EditFile.check(savePath: path, base: plan.base, point: point) }
    finish("base", plan.base.digest, cached: true, since: began, details: plan.base.json)

    let countsMemory = plan.measuresCost && PeakMemory.reset()
    var estimates: [String: Digest] = [:]
    for estimate in plan.estimates { estimates[estimate.name] = try run(estimate, plan, estimates) }
    let edit = try runEdit(plan, estimates: estimates)
    let cost = plan.measuresCost ? cost(memory: countsMemory ? PeakMemory.current : nil) : []
    // Of a large model each estimate is gigabytes, and nothing asks for them again.
    tensors = [:]
    if let path = plan.technique.savePath {
      try EditFile(point.resolve(path), toBe: "written").write(
        edit.edit(from: objects), of: model(plan.base), base: plan.base, maker: point.maker(plan.technique),
        confirming: runner.models.confirmUnchanged)
    }
    let key = { plan.key(of: $0, edit: edit) }
    var images = try draw(plan.requests, as: "images", plan, key: key) { try edited(plan, by: edit) }
    var prompts: [String: AdversarialPrompts] = [:]
    for attack in plan.attacks { prompts[attack.name] = try run(attack, plan, edit) }
    if !prompts.isEmpty {
      let requests = plan.requests(under: prompts)
      images.merge(try draw(requests, as: "images.attack", plan, key: key) { try edited(plan, by: edit) }) { $1 }
    }
    let base =
      plan.baseRequests.isEmpty
      ? [:]
      : try draw(plan.baseRequests, as: "images.base", plan, work: plan.baseImageWork, key: plan.baseKey) {
        try model(plan.base)
      }
    for metric in plan.metrics { try run(metric, plan, images, base, prompts) }
    for metric in plan.modelMetrics { try run(metric, plan, edit, prompts) }
    metrics += cost
  }

  /// The estimates alone, with what they were made from.
  func computeEstimates() throws -> (plan: PointStages, model: DiffusionModel, tensors: [String: [String: Tensor]]) {
    let plan = try runner.stages(of: point)
    var estimates: [String: Digest] = [:]
    for estimate in plan.estimates { estimates[estimate.name] = try run(estimate, plan, estimates) }
    return (plan, try model(plan.base), try estimates.mapValues(load))
  }

  // MARK: Stages

  private func run(_ estimate: Estimate, _ plan: PointStages, _ estimates: [String: Digest]) throws -> Digest {
    guard let key = plan.key(of: estimate, estimates: estimates) else {
      throw ErasureError("the estimate \"\(estimate.name)\" needs one that does not come before it")
    }
    let entry = try stage(estimate.name, key, work: estimate.work) { monitor in
      let needed = try estimates.filter { estimate.needs.contains($0.key) }.mapValues(load)
      return try withContext(plan, key, estimates: needed, monitor: monitor) {
        ["tensors": try keep(EstimateStage.compute(estimate, $0))]
      }
    }
    return try output("tensors", of: entry, as: estimate.name)
  }

  private func runEdit(_ plan: PointStages, estimates: [String: Digest]) throws -> StoredEdit {
    let key = plan.editKey(estimates: estimates)
    let entry = try stage("edit", key, work: plan.editWork, details: editDetails(plan)) { monitor in
      if let path = plan.technique.loadPath {
        let file = try EditFile(point.resolve(path), toBe: "read")
        return try StoredEdit.keep(EditStage.load(file, for: model(plan.base), base: plan.base), in: objects)
      }
      return try withContext(plan, key, estimates: estimates.mapValues(load), monitor: monitor) { context in
        try StoredEdit.keep(EditStage.compute(plan.technique, context), in: objects)
      }
    }
    guard let edit = StoredEdit({ entry.outputs[$0] }) else {
      throw StoreError(.damagedEntry, "the cache entry \(entry.key.digest) of the edit names no tensors")
    }
    for (name, digest) in edit.outputs { outputs.append(RunRecord.Output(name: name, digest: digest)) }
    return edit
  }

  /// What estimates and edits are made from. Their training goes on from the state that an interrupted one has left,
  /// but not where everything is to be computed anew.
  private func withContext(
    _ plan: PointStages, _ key: StageKey, estimates: [String: [String: Tensor]] = [:], monitor: WorkMonitor,
    _ compute: (EditContext) throws -> [String: Digest]
  ) throws -> [String: Digest] {
    let model = try model(plan.base)
    func context(_ file: String?) -> EditContext {
      EditContext(
        model: model, estimates: estimates, seed: plan.editSeed, monitor: monitor, stateFile: file,
        files: plan.files.mapValues(\.path), modelDigest: plan.base.digest.hex)
    }
    guard runner.options.readsCache else { return try compute(context(nil)) }
    return try compute(context(TrainingState(key, storeFolder: runner.store.folder).file))
  }

  /// What an edit's stage says in the record: the technique's own figures, the bytes that the store keeps of it, and
  /// the file that it was loaded from.
  private func editDetails(_ plan: PointStages) -> (CacheEntry) throws -> JSON? {
    { [objects] entry in
      var details: [String: JSON] = [:]
      if let digest = entry.outputs["details"] {
        details = try JSON.parse(objects.read(digest), file: "object \(digest)").object ?? [:]
      }
      if let loaded = plan.loaded, let path = plan.technique.loadPath {
        details["loaded"] = ["path": .string(path), "digest": .string(loaded.hex)]
      }
      details["bytes"] = try StoredEdit({ entry.outputs[$0] })?.bytes(in: objects).json
      return .object(details)
    }
  }

  /// Draws the images that nobody has drawn before, and keeps each batch as soon as it is there.
  private func draw(
    _ requests: [ImageRequest], as stage: String, _ plan: PointStages, work: ModelWork? = nil,
    key: (ImageRequest) -> StageKey, with model: () throws -> DiffusionModel
  ) throws -> [ImageRequest: Digest] {
    try checkCancellation()
    let began = ContinuousClock.now
    let keys = requests.map(key)
    let results = results, models = runner.models
    var digests = try parallelMap(keys.count) { try results.lookup(keys[$0])?.outputs["image"] }
    let missing = digests.indices.filter { digests[$0] == nil }
    if !missing.isEmpty {
      monitor.handle(.stageStarted(stage, units: missing.count))
      let drawing = try asDrawn(model(), plan)
      let work = (work ?? plan.imageWork).counts
      var batchBegan = ContinuousClock.now
      try ImageStage.draw(
        missing.map { requests[$0] }, drawing, plan.technique.samplerSettings, batchSize: runner.options.batchSize,
        monitor: monitor.work(stage)
      ) { range, files in
        let batch = ObjectBatch(objects)
        var entries: [CacheEntry] = []
        let seconds = seconds(since: batchBegan) / Double(range.count)
        for (position, file) in zip(missing[range], files) {
          let digest = try batch.add(file)
          digests[position] = digest
          entries.append(CacheEntry(key: keys[position], outputs: ["image": digest], seconds: seconds, work: work))
        }
        try batch.commit()
        try models.confirmUnchanged()
        try results.put(entries)
        batchBegan = ContinuousClock.now
      }
    }
    let set = ImageSet(
      zip(requests, digests).compactMap { request, digest in
        digest.map { ImageSet.Entry(request: request, digest: $0) }
      })
    outputs.append(RunRecord.Output(name: stage, digest: try objects.add(set.json.canonical())))
    finish(
      stage, PointStages.imagesKey(keys).digest, cached: missing.isEmpty, since: began,
      details: ["images": .integer(requests.count), "drawn": .integer(missing.count)])
    return Dictionary(set.entries.map { ($0.request, $0.digest) }, uniquingKeysWith: { first, _ in first })
  }

  /// Searches the prompts that nobody has searched before, and keeps each as soon as it is found.
  private func run(_ attack: AttackStage, _ plan: PointStages, _ edit: StoredEdit) throws -> AdversarialPrompts {
    try checkCancellation()
    let began = ContinuousClock.now
    var found: [AttackTarget: AdversarialPrompt] = [:]
    var details: [String: JSON] = ["prompts": .integer(attack.targets.count)]
    let keys = attack.targets.map { plan.key(of: $0, attack, edit: edit) }
    if let loaded = try attack.precomputedPrompts() {
      found = loaded.found
      details["loaded"] = attack.precomputed.map { .string($0) }
    } else {
      for (target, key) in zip(attack.targets, keys) {
        guard let digest = try results.lookup(key)?.outputs["prompt"] else { continue }
        found[target] = try AdversarialPrompts.read(digest, from: objects)
      }
      let missing = attack.targets.indices.filter { found[attack.targets[$0]] == nil }
      details["searched"] = .integer(missing.count)
      if !missing.isEmpty {
        found.merge(try search(missing, attack, plan, edit, keys: keys)) { $1 }
      }
    }
    let prompts = AdversarialPrompts(targets: attack.targets, found: found)
    let bytes = Array(prompts.csv.utf8)
    outputs.append(RunRecord.Output(name: attack.stageName, digest: try objects.add(bytes)))
    if let path = attack.attack.generatedPromptsOutput.map(point.resolve) {
      try WholeFile.makeFolder(for: path)
      try WholeFile.write(bytes, to: path)
    }
    details.merge(prompts.summary(of: attack.targets).object ?? [:]) { $1 }
    finish(
      attack.stageName, PointStages.together(keys, as: attack.stageName).digest,
      cached: details["searched"] == .integer(0), since: began, details: .object(details))
    return prompts
  }

  private func search(
    _ missing: [Int], _ attack: AttackStage, _ plan: PointStages, _ edit: StoredEdit, keys: [StageKey]
  ) throws -> [AttackTarget: AdversarialPrompt] {
    monitor.handle(.stageStarted(attack.stageName, units: missing.count))
    let (monitor, work) = (monitor.work(attack.stageName), plan.work(of: attack))
    let base = try model(plan.base)
    let attacked = try asDrawn(edited(plan, by: edit), plan)
    try attack.attack.check(base, prompts: missing.map { attack.targets[$0].prompt })
    let context = try attack.context(
      base: base, attacked: attacked, sampler: plan.technique.samplerSettings, monitor: monitor)
    // Searches end on several threads; the store and the index belong to one at a time.
    let found = Mutex<[AttackTarget: AdversarialPrompt]>([:])
    nonisolated(unsafe) let results = results, models = runner.models
    let objects = objects
    let began = ContinuousClock.now
    try attack.search(missing, context) { position, prompt in
      try found.withLock { found in
        let digest = try objects.add(AdversarialPrompts.json(prompt).canonical())
        let share = seconds(since: began) / Double(found.count + 1)
          try models.confirmUnchanged()
        try results.put([
          CacheEntry(key: keys[position], outputs: ["prompt": digest], seconds: share, work: work?.counts)
        ])
        found[attack.targets[position]] = prompt
        monitor.progress(found.count, missing.count)
      }
    }
    return found.withLock { $0 }
  }

  private func run(
    _ metric: MetricStage, _ plan: PointStages, _ images: [ImageRequest: Digest], _ base: [ImageRequest: Digest],
    _ prompts: [String: AdversarialPrompts]
  ) throws {
    guard let looks = metric.looks(images, base, prompts: prompts) else {
      preconditionFailure("an image that was asked for is not drawn")
    }
    try measure(metric.stageName, metric.key(looks), metric.measurement, work: plan.work(of: metric)) {
      try metric.compute(looks, from: objects, monitor: $0)
    }
  }

  private func run(
    _ metric: ModelMetricStage, _ plan: PointStages, _ edit: StoredEdit, _ prompts: [String: AdversarialPrompts]
  ) throws {
    guard let key = plan.key(of: metric, edit: edit, prompts: prompts) else {
      preconditionFailure("an attack that a metric is measured under was not made")
    }
    try measure(metric.stageName, key, metric.measurement) { monitor in
      var found = try edit.edit(from: objects)
      found.details = stages.first { $0.name == "edit" }?.details ?? [:]
      return try metric.compute(
        base: model(plan.base), edited: edited(plan, by: edit), found, prompts: prompts, monitor: monitor)
    }
  }

  /// Notes the values of a metric, computed where nobody has.
  private func measure(
    _ name: String, _ key: StageKey, _ measurement: MeasurementProtocol, work: ModelWork? = nil,
    compute: (WorkMonitor) throws -> JSON
  ) throws {
    let entry = try stage(name, key, work: work) { ["values": try objects.add(compute($0).canonical())] }
    metrics += try MetricValues.read(
      try output("values", of: entry, as: name), from: objects, measurement: measurement)
  }

  /// The values of the metric `cost`, from the stages so far.
  ///
  /// - Parameter memory: the most bytes that were held since before the first estimate; that of an edit which the cache
  ///   answered is not known
  private func cost(memory: Int?) -> [RunRecord.Metric] {
    let made = stages.filter { $0.name != "base" }
    func value(_ name: String, _ value: Double?, _ unit: String) -> RunRecord.Metric {
      RunRecord.Metric(name: name, value: value, direction: "lower", unit: unit, count: nil, judge: nil)
    }
    let bytes = made.first { $0.name == "edit" }?.details?["bytes"]?.number
    return [
      value(
        CostConfiguration.seconds, made.reduce(0) { $0 + ($1.computedSeconds ?? $1.seconds) }, "seconds"),
      value(
        CostConfiguration.peakMemory, made.contains(where: \.cached) ? nil : memory.map(Double.init),
        "bytes of memory"),
      value(CostConfiguration.bytes, bytes, "bytes"),
    ]
  }

  // MARK: Models and tensors

  private func model(_ base: BaseModel) throws -> DiffusionModel { try runner.models.load(base) }

  private func edited(_ plan: PointStages, by edit: StoredEdit) throws -> DiffusionModel {
    try edit.model(model(plan.base), plan.technique, from: objects)
  }

  /// A model with its weights in the precision that images are drawn with.
  private func asDrawn(_ model: DiffusionModel, _ plan: PointStages) throws -> DiffusionModel {
    plan.technique.generation.useFP16 ? try model.roundedToHalf() : model
  }

  private func keep(_ found: [String: Tensor]) throws -> Digest {
    let digest = try TensorSet.keep(found, in: objects)
    tensors[digest] = found
    return digest
  }

  private func load(_ set: Digest) throws -> [String: Tensor] {
    if let known = tensors[set] { return known }
    return try TensorSet.tensors(set, from: objects)
  }

  // MARK: The way of every stage

  private func stage(
    _ name: String, _ key: StageKey, work: ModelWork?, details: (CacheEntry) throws -> JSON? = { _ in nil },
    compute: (WorkMonitor) throws -> [String: Digest]
  ) throws -> CacheEntry {
    try checkCancellation()
    let began = ContinuousClock.now
    if let entry = try results.lookup(key) {
      finish(
        name, key.digest, cached: true, since: began, computedSeconds: entry.seconds, details: try details(entry))
      return entry
    }
    monitor.handle(.stageStarted(name, units: nil))
    let state = TrainingState(key, storeFolder: runner.store.folder)
    // What goes on from a state takes less than the whole, and says nothing of the next one.
    let isWhole = !runner.options.readsCache || !state.exists
    let found = try compute(monitor.work(name))
    let entry = CacheEntry(
      key: key, outputs: found, seconds: seconds(since: began), work: isWhole ? work?.counts : nil)
    // Nothing is kept of what a model computed whose files changed meanwhile: the key names them as they were.
    try runner.models.confirmUnchanged()
    try results.put([entry])
    if runner.options.readsCache { try state.remove() }
    finish(name, key.digest, cached: false, since: began, details: try details(entry))
    return entry
  }

  /// The object that a stage's entry names, noted as an output of the run.
  private func output(_ name: String, of entry: CacheEntry, as outputName: String) throws -> Digest {
    guard let digest = entry.outputs[name] else {
      throw StoreError(.damagedEntry, "the cache entry \(entry.key.digest) of \(outputName) has no output \"\(name)\"")
    }
    outputs.append(RunRecord.Output(name: outputName, digest: digest))
    return digest
  }

  private func finish(
    _ name: String, _ key: Digest, cached: Bool, since began: ContinuousClock.Instant, computedSeconds: Double? = nil,
    details: JSON? = nil
  ) {
    let stage = RunRecord.Stage(
      name: name, key: key, cached: cached, seconds: seconds(since: began), computedSeconds: computedSeconds,
      details: details)
    stages.append(stage)
    monitor.handle(.stageFinished(stage))
  }

  private func checkCancellation() throws {
    if monitor.isCancelled() { throw CancellationError() }
  }
}

/// Seconds since a moment, to the millisecond.
func seconds(since began: ContinuousClock.Instant) -> Double {
  let duration = began.duration(to: .now).components
  let milliseconds = duration.seconds * 1000 + duration.attoseconds / 1_000_000_000_000_000
  return Double(milliseconds) / 1000
}
