internal import Configuration
internal import Diffusion
public import Store
internal import Synchronization
public import Workbench

/// What a report is made of, read from a store: the runs that a specification may select, and their images.
public struct StoredRuns: Sendable {
  public let runs: [ReportedRun]
  public let images: RunImages

  /// Reads the index for all runs, and the records of those that a selection may take.
  ///
  /// - Parameter points: see ``TableSpec/points(in:locations:)``.
  /// - Throws: ``StoreError`` where the index or a record cannot be read, `RecordError` where a later version of Lethe
  ///   wrote it.
  public init(for spec: TableSpec, points: [String: [ExpectedPoint]] = [:], in store: Store) throws {
    var runs: [ReportedRun] = []
    for facts in try store.index().facts() {
      let outline = ReportedRun(facts)
      // A record is read only where the index does not rule the run out: a store may hold thousands.
      let isCandidate = spec.runs.contains { selection in
        var selection = selection
        selection.values = KeyPathValues()
        return selection.matches(outline, points: selection.source.flatMap { points[$0] } ?? [])
      }
      runs.append(isCandidate ? ReportedRun(try store.run(facts.run.runID), id: facts.run.runID) : outline)
    }
    self.runs = runs
    let sets = ImageSets(store: store)
    images = RunImages(
      prompts: { try sets.entries(of: $0).map(\.request.prompt) },
      image: { run, prompt in
        // The lowest repetition: the noise that other techniques' images of the prompt start from, too.
        let entries = try sets.entries(of: run).filter { $0.request.prompt == prompt }
        guard let entry = entries.min(by: { $0.request.repetition < $1.request.repetition }) else { return nil }
        return try ImageSet.picture(entry.digest, from: store.objects)
      })
  }
}

/// The image sets of runs, each read once.
private final class ImageSets: Sendable {
  private let store: Store
  private let known = Mutex<[String: [ImageSet.Entry]]>([:])

  init(store: Store) {
    self.store = store
  }

  func entries(of run: ReportedRun) throws -> [ImageSet.Entry] {
    if let entries = known.withLock({ $0[run.id] }) { return entries }
    var entries: [ImageSet.Entry] = []
    if let id = Digest(hex: run.id) {
      for output in try store.run(id).outputs where output.name == "images" {
        entries += try ImageSet(output.digest, from: store.objects).entries
      }
    }
    known.withLock { $0[run.id] = entries }
    return entries
  }
}

extension MeasuringMethod.Fingerprint {
  fileprivate init(_ measurement: MeasurementProtocol) {
    let settings = measurement.settings.sorted { $0.key < $1.key }.map { " \($0.key) \(plain($0.value))" }
    self.init(
      digest: measurement.fingerprint,
      prompts: "prompts \(measurement.prompts ?? "unnamed")"
        + (measurement.promptsDigest.map { " \($0.hex.prefix(8))" } ?? ""),
      weights: measurement.judgeDigest.map { "judge weights \($0.hex.prefix(8))" } ?? "no judge weights",
      implementation: measurement.metric + (settings.isEmpty ? "" : " with" + settings.joined(separator: ",")))
  }
}

extension ReportedRun {
  /// What the index knows of a run: all but its configuration and how its values were measured.
  fileprivate init(_ facts: RunFacts) {
    self.init(
      id: facts.run.runID.hex, experiment: facts.run.experiment, technique: facts.run.technique,
      configHash: facts.run.configHash.hex, groupHash: facts.run.groupHash.hex, seed: facts.run.seed ?? 0,
      status: Status(rawValue: facts.run.status) ?? .failed, error: facts.run.error, started: facts.run.started,
      tags: facts.tags)
  }

  /// A run as its record tells it.
  public init(_ record: RunRecord, id: Digest) {
    self.init(
      id: id.hex, experiment: record.name, technique: record.technique, configHash: record.configHash.hex,
      groupHash: record.groupHash.hex, seed: record.seed, status: Status(rawValue: record.status.rawValue) ?? .failed,
      error: record.error, started: record.started, tags: record.tags, configuration: record.experiment,
      values: record.metrics.map { metric in
        MeasuredValue(
          name: metric.name, value: metric.value, better: Better(rawValue: metric.direction) ?? .none,
          method: MeasuringMethod(
            unit: metric.unit, count: metric.count, judge: metric.judge,
            sampler: Self.sampler(record.experiment, metric.measurement?.sampler),
            fingerprint: metric.measurement.map(MeasuringMethod.Fingerprint.init)),
          interval: metric.interval.flatMap { $0.lower <= $0.upper ? $0.lower...$0.upper : nil },
          isRepeatable: !RunRecord.unrepeatable.contains(metric.name))
      } + Self.edit(record.stages))
  }

  /// What a run's stages tell of its edit: the share of the weights that it changes, the bytes that the store keeps of
  /// it, and the seconds that the edit and its estimates took when they were computed.
  private static func edit(_ stages: [RunRecord.Stage]) -> [MeasuredValue] {
    guard let last = stages.firstIndex(where: { $0.name == "edit" }) else { return [] }
    func figure(_ name: String, _ value: Double?, _ unit: String, isRepeatable: Bool = true) -> MeasuredValue {
      MeasuredValue(
        name: name, value: value, better: .none, method: MeasuringMethod(unit: unit), isRepeatable: isRepeatable)
    }
    let computing = stages[...last].filter { $0.name != "base" }
    return [
      figure("weights_changed", stages[last].details?["weights_changed"]?.number, "share of the weights"),
      figure("edit_bytes", stages[last].details?["bytes"]?.number, "bytes"),
      figure(
        "edit_seconds", computing.reduce(0) { $0 + ($1.computedSeconds ?? $1.seconds) }, "seconds",
        isRepeatable: false),
    ]
  }

  /// How the images of an experiment are drawn, in words, where its technique says so.
  ///
  /// - Parameter scheduler: as the metric's protocol names it, where its record has one
  private static func sampler(_ experiment: JSON, _ scheduler: String?) -> String? {
    guard let steps = experiment.value(at: "technique.config.num_inference_steps")?.integer,
      let scale = experiment.value(at: "technique.config.guidance_scale")
    else { return nil }
    return "\(steps) \(scheduler ?? "DDIM") steps, guidance scale \(scale.canonical())"
  }
}
