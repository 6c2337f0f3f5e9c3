/// What the index holds of a run: one row, as a listing shows it.
public struct RunRow: Equatable, Sendable {
  public var runID: Digest
  /// The digest of the resolved experiment: the same question has the same hash.
  public var configHash: Digest
  /// The same without the seed: what a report averages over.
  public var groupHash: Digest
  /// The experiment's file or name.
  public var experiment: String
  public var technique: String
  public var seed: Int?
  /// `finished`, `failed` or `interrupted`.
  public var status: String
  /// The sentence with which a failed run ended.
  public var error: String?
  /// See ``Timestamp``.
  public var started: String
  public var finished: String
  /// What the sweep or the command line set, as canonical JSON `{key path: value}`.
  public var settings: String

  public init(
    runID: Digest, configHash: Digest, groupHash: Digest, experiment: String, technique: String, seed: Int?,
    status: String, error: String?, started: String, finished: String, settings: String
  ) {
    self.runID = runID
    self.configHash = configHash
    self.groupHash = groupHash
    self.experiment = experiment
    self.technique = technique
    self.seed = seed
    self.status = status
    self.error = error
    self.started = started
    self.finished = finished
    self.settings = settings
  }
}

/// One metric value of a run, as the index holds it.
public struct MetricRow: Equatable, Sendable {
  public var name: String
  /// Nil where the metric is undefined.
  public var value: Double?
  /// `higher`, `lower` or `none`: which way is better.
  public var direction: String
  public var unit: String
  /// The number of samples behind the value.
  public var count: Int?
  /// What judged, where anything did.
  public var judge: String?

  public init(name: String, value: Double?, direction: String, unit: String, count: Int?, judge: String?) {
    self.name = name
    self.value = value
    self.direction = direction
    self.unit = unit
    self.count = count
    self.judge = judge
  }
}

/// One output of a run, as the index holds it.
public struct OutputRow: Equatable, Sendable {
  public var name: String
  public var digest: Digest

  public init(name: String, digest: Digest) {
    self.name = name
    self.digest = digest
  }
}

/// One stage of a run, as the index holds it.
public struct StageRow: Equatable, Sendable {
  public var name: String
  public var key: Digest
  /// Whether the cache answered.
  public var cached: Bool
  public var seconds: Double

  public init(name: String, key: Digest, cached: Bool, seconds: Double) {
    self.name = name
    self.key = key
    self.cached = cached
    self.seconds = seconds
  }
}

/// All that the index derives from one run record.
public struct RunFacts: Equatable, Sendable {
  public var run: RunRow
  public var tags: [String]
  public var metrics: [MetricRow]
  public var outputs: [OutputRow]
  public var stages: [StageRow]

  public init(
    run: RunRow, tags: [String] = [], metrics: [MetricRow] = [], outputs: [OutputRow] = [], stages: [StageRow] = []
  ) {
    self.run = run
    self.tags = tags
    self.metrics = metrics
    self.outputs = outputs
    self.stages = stages
  }
}

/// Which runs a listing asks for; what is nil is not asked.
public struct RunFilter: Equatable, Sendable {
  public var technique: String?
  public var experiment: String?
  public var tag: String?
  public var status: String?
  public var configHash: Digest?
  /// At most so many, the latest first.
  public var limit: Int?

  public init(
    technique: String? = nil, experiment: String? = nil, tag: String? = nil, status: String? = nil,
    configHash: Digest? = nil, limit: Int? = nil
  ) {
    self.technique = technique
    self.experiment = experiment
    self.tag = tag
    self.status = status
    self.configHash = configHash
    self.limit = limit
  }
}
