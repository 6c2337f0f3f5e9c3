public import Configuration

/// One run as a report sees it: what was asked, what came out, and how it ended.
public struct ReportedRun: Equatable, Sendable {
  public enum Status: String, Sendable { case finished, failed, interrupted }

  public var id: String
  public var experiment: String
  public var technique: String
  /// The same question has the same hash, its seed included.
  public var configHash: String
  /// The hash without the seed: what a row of a table is made of.
  public var groupHash: String
  public var seed: Int
  public var status: Status
  /// The sentence with which a failed run ended.
  public var error: String?
  /// When the run started, as text that sorts by time.
  public var started: String
  public var tags: [String]
  /// The experiment with every default filled in.
  public var configuration: JSON
  public var values: [MeasuredValue]

  public init(
    id: String, experiment: String, technique: String, configHash: String, groupHash: String, seed: Int,
    status: Status = .finished, error: String? = nil, started: String = "", tags: [String] = [],
    configuration: JSON = .object([:]), values: [MeasuredValue] = []
  ) {
    self.id = id
    self.experiment = experiment
    self.technique = technique
    self.configHash = configHash
    self.groupHash = groupHash
    self.seed = seed
    self.status = status
    self.error = error
    self.started = started
    self.tags = tags
    self.configuration = configuration
    self.values = values
  }
}

/// One metric value of a run.
public struct MeasuredValue: Equatable, Sendable {
  public var name: String
  /// `nil` where the metric is undefined.
  public var value: Double?
  public var better: Better
  public var method: MeasuringMethod
  /// The ends of the value's 95 % confidence interval; `nil` where there is none.
  public var interval: ClosedRange<Double>?
  /// False for what is never twice the same, as seconds are: then two runs that differ in it do not disagree.
  public var isRepeatable: Bool

  public init(
    name: String, value: Double?, better: Better, method: MeasuringMethod = MeasuringMethod(),
    interval: ClosedRange<Double>? = nil, isRepeatable: Bool = true
  ) {
    self.name = name
    self.value = value
    self.better = better
    self.method = method
    self.interval = interval
    self.isRepeatable = isRepeatable
  }
}

/// How a value was measured. Values measured in different ways never share a column.
public struct MeasuringMethod: Hashable, Sendable {
  public var unit: String
  /// The number of samples behind the value.
  public var count: Int?
  public var judge: String?
  /// How the images were drawn: "50 DDIM steps, guidance scale 7.5".
  public var sampler: String?
  /// What a record says besides; `nil` where it was written before records said it.
  public var fingerprint: Fingerprint?

  public init(
    unit: String = "", count: Int? = nil, judge: String? = nil, sampler: String? = nil, fingerprint: Fingerprint? = nil
  ) {
    self.unit = unit
    self.count = count
    self.judge = judge
    self.sampler = sampler
    self.fingerprint = fingerprint
  }

  /// The fingerprint of a measurement's protocol, with those of its parts that tell apart what unit, number, judge and
  /// sampler do not.
  public struct Fingerprint: Hashable, Sendable {
    public var digest: String
    /// "prompts general 1a2b3c4d"
    public var prompts: String
    /// "judge weights 1a2b3c4d"
    public var weights: String
    /// "fid with reference_images 2000"
    public var implementation: String

    public init(digest: String, prompts: String = "", weights: String = "", implementation: String = "") {
      self.digest = digest
      self.prompts = prompts
      self.weights = weights
      self.implementation = implementation
    }
  }

  /// Whether two methods are the same, so far as both records say.
  func agrees(with other: MeasuringMethod) -> Bool {
    fingerprint == nil || other.fingerprint == nil
      ? withoutFingerprint == other.withoutFingerprint : self == other
  }

  /// This method as a record without a fingerprint would tell it.
  var withoutFingerprint: MeasuringMethod {
    MeasuringMethod(unit: unit, count: count, judge: judge, sampler: sampler)
  }

  /// The parts that a note or a heading can give, each as words of its own.
  var parts: [Part: String] {
    var parts: [Part: String] = [:]
    if !unit.isEmpty { parts[.unit] = unit }
    if let count { parts[.count] = "n = \(count)" }
    if let judge, !judge.isEmpty { parts[.judge] = "judged by \(abbreviated(judge))" }
    if let sampler { parts[.sampler] = sampler }
    if let fingerprint {
      parts[.prompts] = fingerprint.prompts
      parts[.weights] = fingerprint.weights
      parts[.implementation] = fingerprint.implementation
    }
    return parts
  }

  enum Part: CaseIterable, Sendable {
    case unit, count, judge, sampler, prompts, weights, implementation

    /// What a note says where there is nothing to tell apart.
    static let plain: [Part] = [.unit, .count, .judge, .sampler]
  }
}

/// Text with every digest in it cut to its first eight digits.
func abbreviated(_ text: String) -> String {
  var result = ""
  var run = ""
  func flush() {
    result += run.count >= 16 ? String(run.prefix(8)) : run
    run = ""
  }
  for character in text {
    if character.isASCII, character.isHexDigit {
      run.append(character)
    } else {
      flush()
      result.append(character)
    }
  }
  flush()
  return result
}
