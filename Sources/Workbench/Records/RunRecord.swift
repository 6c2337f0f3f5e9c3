public import Configuration
public import Store

/// Everything a run was and brought: what it asked, with which sources and machine, what was computed and what came
/// out.
///
/// A record is written once, when the run ends, as canonical JSON; its digest is the run's id.
public struct RunRecord: Equatable, Sendable {
  public enum Status: String, CaseIterable, Sendable {
    case finished
    /// An error ended the run; ``RunRecord/error`` says which.
    case failed
    /// The user ended the run.
    case interrupted
  }

  /// One stage of the run's plan.
  public struct Stage: Equatable, Sendable {
    public var name: String
    /// The digest of the stage's cache key; of the base model its own digest, and of the images one for the keys of
    /// all.
    public var key: Digest
    /// Whether the cache answered.
    public var cached: Bool
    public var seconds: Double
    /// Where the cache answered: how long it took to compute what it answered with.
    public var computedSeconds: Double?
    /// What else there is to say, for example how many images of a set the cache had.
    public var details: JSON?

    public init(
      name: String, key: Digest, cached: Bool, seconds: Double, computedSeconds: Double? = nil, details: JSON? = nil
    ) {
      self.name = name
      self.key = key
      self.cached = cached
      self.seconds = seconds
      self.computedSeconds = computedSeconds
      self.details = details
    }
  }

  /// One value that a metric gave.
  public struct Metric: Equatable, Sendable {
    public var name: String
    /// Nil where the metric is undefined for this run.
    public var value: Double?
    /// `higher`, `lower` or `none`: which way is better.
    public var direction: String
    public var unit: String
    /// The number of samples behind the value.
    public var count: Int?
    /// Which judge the value came from, where one judged.
    public var judge: String?
    /// What else the metric found, for example accuracies by class.
    public var details: JSON?
    /// The 95 % confidence interval of the value; nil where none can be given.
    public var interval: Interval?
    /// How the value was measured; nil in records of versions that did not say.
    public var measurement: MeasurementProtocol?

    public init(
      name: String, value: Double?, direction: String, unit: String, count: Int? = nil, judge: String? = nil,
      details: JSON? = nil, interval: Interval? = nil, measurement: MeasurementProtocol? = nil
    ) {
      self.name = name
      self.value = value
      self.direction = direction
      self.unit = unit
      self.count = count
      self.judge = judge
      self.details = details
      self.interval = interval
      self.measurement = measurement
    }

    /// The ends of a confidence interval.
    public struct Interval: Equatable, Sendable {
      public var lower: Double
      public var upper: Double

      public init(lower: Double, upper: Double) {
        self.lower = lower
        self.upper = upper
      }

      /// As records and `--json` write it: a list of both ends.
      public var json: JSON { [.number(lower), .number(upper)] }
    }
  }

  /// One object that the run made or found in the cache.
  public struct Output: Equatable, Sendable {
    public var name: String
    public var digest: Digest

    public init(name: String, digest: Digest) {
      self.name = name
      self.digest = digest
    }
  }

  /// The experiment with every default filled in.
  public var experiment: JSON
  /// What the user calls it: the file's name without folder and ending, or the command's.
  public var name: String
  /// The experiment file as it was given, nil where there was none.
  public var file: String?
  public var technique: String
  public var seed: Int
  /// What a sweep or the command line set, by key path.
  public var settings: [String: JSON]
  /// The digest of the canonical experiment without settings that cannot change a result.
  public var configHash: Digest
  /// The same without the seed.
  public var groupHash: Digest
  public var status: Status
  /// The sentence with which a failed run ended.
  public var error: String?
  public var stages: [Stage]
  public var metrics: [Metric]
  public var outputs: [Output]
  public var git: GitState
  public var environment: Environment
  /// See ``Timestamp``.
  public var started: String
  public var finished: String
  public var tags: [String]
  public var warnings: [String]

  public init(
    experiment: JSON, name: String, file: String? = nil, technique: String, seed: Int, settings: [String: JSON] = [:],
    configHash: Digest, groupHash: Digest, status: Status, error: String? = nil, stages: [Stage] = [],
    metrics: [Metric] = [], outputs: [Output] = [], git: GitState, environment: Environment, started: String,
    finished: String, tags: [String] = [], warnings: [String] = []
  ) {
    self.experiment = experiment
    self.name = name
    self.file = file
    self.technique = technique
    self.seed = seed
    self.settings = settings
    self.configHash = configHash
    self.groupHash = groupHash
    self.status = status
    self.error = error
    self.stages = stages
    self.metrics = metrics
    self.outputs = outputs
    self.git = git
    self.environment = environment
    self.started = started
    self.finished = finished
    self.tags = tags
    self.warnings = warnings
  }
}
