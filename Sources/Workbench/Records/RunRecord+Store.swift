internal import Configuration
public import Store

extension Store {
  /// Opens a store whose index reads the workbench's run records; see ``Store/init(folder:create:reader:warn:)``.
  public static func open(
    _ folder: String, create: Bool = true, warn: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(StoreError) -> Store {
    try Store(
      folder: folder, create: create, reader: { record, run in try RunRecord(json: record).facts(of: run) }, warn: warn)
  }

  /// Keeps a run record for good and adds it to the index.
  /// - Returns: the run's id.
  @discardableResult
  public func add(_ record: RunRecord) throws(StoreError) -> Digest {
    try add(record: record.json)
  }

  /// A run's record.
  /// - Throws: ``StoreError`` if there is no such run or its object is damaged, ``RecordError`` if a later version of
  ///   Lethe
  ///   wrote it.
  public func run(_ run: Digest) throws -> RunRecord {
    try RunRecord(json: try runs.record(run))
  }
}

extension RunRecord {
  /// What the index holds of the record.
  public func facts(of run: Digest) -> RunFacts {
    RunFacts(
      run: RunRow(
        runID: run, configHash: configHash, groupHash: groupHash, experiment: name, technique: technique, seed: seed,
        status: status.rawValue, error: error, started: started, finished: finished,
        settings: JSON.object(settings).canonical()),
      tags: tags,
      metrics: metrics.map {
        MetricRow(
          name: $0.name, value: $0.value, direction: $0.direction, unit: $0.unit, count: $0.count, judge: $0.judge)
      },
      outputs: outputs.map { OutputRow(name: $0.name, digest: $0.digest) },
      stages: stages.map { StageRow(name: $0.name, key: $0.key, cached: $0.cached, seconds: $0.seconds) })
  }
}
