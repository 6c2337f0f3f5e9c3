internal import Configuration
internal import Erasure
internal import Metrics
public import Store
internal import Tensors

/// Runs experiments: plans their stages, computes what the cache does not have, and records what came out.
///
/// A runner belongs to one thread. It loads a model only when a stage has to be computed, and keeps the last one.
public final class Runner {
  public struct Options: Sendable {
    /// Whether results of earlier runs are used. Without, nothing is overwritten either: other bytes for a known key
    /// become a conflict.
    public var readsCache: Bool
    /// Images drawn at a time; it changes no byte. A kill loses at most one batch.
    public var batchSize: Int

    public init(readsCache: Bool = true, batchSize: Int = 16) {
      self.readsCache = readsCache
      self.batchSize = batchSize
    }
  }

  public let store: Store
  public let locations: Locations
  public let catalogue: Catalogue
  public let options: Options

  let code: ComputingCode
  let digests: FileDigests
  let models: BaseModels
  let results: StageResults

  /// - Parameters:
  ///   - code: what the keys of stages say of the code; that of this program.
  ///   - hashing: told of the files that are hashed.
  public init(
    store: Store, locations: Locations, catalogue: Catalogue = .standard, code: ComputingCode = .current,
    options: Options = Options(), hashing: @escaping FileDigests.Progress = { _, _, _ in }
  ) {
    self.store = store
    self.locations = locations
    self.catalogue = catalogue
    self.code = code
    self.options = options
    digests = FileDigests(storeFolder: store.folder, progress: hashing)
    models = BaseModels(locations: locations, digests: digests)
    results = StageResults(store.cache, readsCache: options.readsCache)
  }

  /// The points of an experiment, resolved with what its base models and this machine say.
  ///
  /// - Throws: `ConfigurationError`, ``Locations/NotFound``, or what a base model's folder is refused for.
  public func points(of experiment: Experiment) throws -> [ExperimentPoint] {
    let points = try experiment.points { name in try models.base(name, from: experiment.folder).declaration }
    digests.save()
    return points
  }

  func stages(of point: ExperimentPoint) throws -> PointStages {
    defer { digests.save() }
    return try PointStages(
      point, base: models.base(point.baseModel, from: point.folder), digests: digests, code: code,
      catalogue: catalogue)
  }

  /// Refuses what can be seen to be wrong in points before any of them is run: metrics that their base model cannot
  /// answer, attacks that have no room in their prompts, judges that cannot be read, files that are missing or not for
  /// their base model, and files that could not be written. A mistake in the last point is then no loss of hours.
  ///
  /// - Throws: `ConfigurationError`, or what a file is refused for.
  public func check(_ points: [ExperimentPoint]) throws {
    var judges: Set<String> = []
    for point in points {
      let stages = try stages(of: point)
      try point.checkWrittenFiles()
      for folder in stages.metrics.flatMap(\.judgeFolders) where judges.insert(folder).inserted {
        try checkJudge(folder: folder)
      }
      if let path = stages.technique.savePath { try EditFile.check(savePath: path, base: stages.base, point: point) }
      // What the cache answers has passed already, and asks for no model.
      let isEditCached = try isEditCached(stages)
      guard !isEditCached || !stages.attacks.isEmpty else { continue }
      // A model that cannot be read is for the run to say, and to record.
      guard let model = try? models.load(stages.base) else { continue }
      for attack in stages.attacks { try attack.check(model, for: point) }
      if isEditCached { continue }
      if let path = stages.technique.loadPath {
        try point.namingLoadPath {
          try EditFile(point.resolve(path), toBe: "read").check(for: model, base: stages.base)
        }
        continue
      }
      do {
        try stages.technique.check(model)
      } catch let error as ErasureError {
        throw ConfigurationError(file: point.file, keyPath: point.technique.keyPath + ".config", error.description)
      }
      let context = EditContext(
        model: model, seed: stages.editSeed, files: stages.files.mapValues(\.path), modelDigest: stages.base.digest.hex)
      for estimate in stages.estimates { try estimate.check?(context) }
    }
  }

  private func isEditCached(_ stages: PointStages) throws -> Bool {
    var digests: [String: Digest] = [:]
    for estimate in stages.estimates {
      guard let key = stages.key(of: estimate, estimates: digests),
        let digest = try results.lookup(key)?.outputs["tensors"]
      else { return false }
      digests[estimate.name] = digest
    }
    return try results.lookup(stages.editKey(estimates: digests)) != nil
  }

  // MARK: Running

  /// Runs points one after the other; each ends in a record, also one that fails or is interrupted.
  ///
  /// A point that fails does not stop the others. After an interruption the rest is not begun.
  ///
  /// - Returns: the outcomes of the points that were begun, in their order.
  /// - Throws: `StoreError` where a record cannot be kept.
  public func run(_ points: [ExperimentPoint], monitor: RunMonitor = RunMonitor()) throws -> [RunOutcome] {
    let environment = Environment.capture(threads: Parallel.threadCount)
    var snapshots: [String: Sources] = [:]
    var outcomes: [RunOutcome] = []
    for (index, point) in points.enumerated() {
      if monitor.isCancelled() { break }
      monitor.handle(.runStarted(point, number: index + 1, of: points.count))
      let sources: Sources
      if let known = snapshots[point.file] {
        sources = known
      } else {
        sources = try Sources(around: point.file, store: store)
        snapshots[point.file] = sources
        for warning in sources.warnings { monitor.handle(.warning(warning)) }
      }
      let outcome = try run(point, sources, environment, monitor)
      outcomes.append(outcome)
      monitor.handle(.runFinished(outcome))
      if outcome.record.status == .interrupted { break }
    }
    return outcomes
  }

  private func run(
    _ point: ExperimentPoint, _ sources: Sources, _ environment: Environment, _ monitor: RunMonitor
  ) throws -> RunOutcome {
    let started = Timestamp.now()
    for warning in point.warnings { monitor.handle(.warning(warning)) }
    let execution = PointExecution(point, runner: self, monitor: monitor)
    var status = RunRecord.Status.finished
    var sentence: String?
    do {
      try execution.run()
    } catch is CancellationError {
      status = .interrupted
    } catch {
      status = .failed
      sentence = "\(error)"
    }
    let conflicts = results.takeConflicts()
    // A value that says less than it seems to says so itself.
    let doubts = execution.metrics.compactMap { metric in
      metric.details?["warning"]?.string.map { "\(metric.name): \($0)" }
    }
    let found = doubts + Self.sentences(conflicts) + models.assumptions
    for warning in found { monitor.handle(.warning(warning)) }
    let record = RunRecord(
      experiment: point.json, name: point.experiment, file: Self.absolute(point.file),
      technique: point.technique.name, seed: point.seed,
      settings: point.set, configHash: point.configHash, groupHash: point.configHashWithoutSeed,
      status: status, error: sentence, stages: execution.stages, metrics: execution.metrics,
      outputs: execution.outputs, git: sources.git, environment: environment, started: started,
      finished: Timestamp.now(), tags: point.tags, warnings: point.warnings + sources.warnings + found)
    return RunOutcome(run: try store.add(record), record: record, conflicts: conflicts)
  }

  /// A path that means the same from wherever the run is executed again.
  private static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : Locations.currentFolder + "/" + path
  }

  private static func sentences(_ conflicts: [CacheConflict]) -> [String] {
    var sentences: [String] = []
    var images = 0
    for conflict in conflicts {
      if conflict.found.key.stage == "image" {
        images += 1
      } else {
        let (key, outputs) = (conflict.found.key, conflict.outputs.joined(separator: ", "))
        sentences.append(
          "\(key.stage) came out otherwise than the cache has it: \(outputs) (key \(key.digest.short));"
            + " the recorded result stays and the other is kept as a conflict")
      }
    }
    if images > 0 {
      sentences.append(
        "\(images) image\(images == 1 ? "" : "s") came out otherwise than the cache has \(images == 1 ? "it" : "them")"
          + "; the recorded ones stay and the others are kept as conflicts")
    }
    return sentences
  }
}
