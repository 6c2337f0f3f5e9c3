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
  /// False for what is never twice the same, as seconds are: then two runs that differ in it do not disagree.
  public var isRepeatable: Bool

  public init(
    name: String, value: Double?, better: Better, method: MeasuringMethod = MeasuringMethod(), isRepeatable: Bool = true
  ) {
    self.name = name
    self.value = value
    self.better = better
    self.method = method
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

  public init(unit: String = "", count: Int? = nil, judge: String? = nil, sampler: String? = nil) {
    self.unit = unit
    self.count = count
    self.judge = judge
    self.sampler = sampler
  }

  /// The parts that a note or a heading can give, each as words of its own.
  var parts: [Part: String] {
    var parts: [Part: String] = [:]
    if !unit.isEmpty { parts[.unit] = unit }
    if let count { parts[.count] = "n = \(count)" }
    if let judge, !judge.isEmpty { parts[.judge] = "judged by \(abbreviated(judge))" }
    if let sampler { parts[.sampler] = sampler }
    return parts
  }

  enum Part: CaseIterable, Sendable { case unit, count, judge, sampler }
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
