public import Configuration
public import Store

/// How a value was measured: what two values must share to be compared, and nothing of the technique or of the settings
/// by which it erases.
public struct MeasurementProtocol: Equatable, Sendable {
  /// The metric that measured.
  public var metric: String
  /// Those of its settings that change what is measured.
  public var settings: [String: JSON]
  /// What the prompts are, and the digest of all of them; nil where the metric does not say.
  public var prompts: String?
  public var promptsDigest: Digest?
  /// The number of samples behind the value.
  public var count: Int?
  /// The scheduler, as ``Scheduler/title(eta:)`` names it.
  public var sampler: String
  public var steps: Int
  public var guidanceScale: Double
  public var judge: String?
  /// The digest of the judge's files; of several judges, that of their sorted digests. Nil where nothing judges.
  public var judgeDigest: Digest?

  public init(
    metric: String, settings: [String: JSON] = [:], prompts: String? = nil, promptsDigest: Digest? = nil,
    count: Int? = nil, sampler: String = "DDIM", steps: Int, guidanceScale: Double, judge: String? = nil,
    judgeDigest: Digest? = nil
  ) {
    self.metric = metric
    self.settings = settings
    self.prompts = prompts
    self.promptsDigest = promptsDigest
    self.count = count
    self.sampler = sampler
    self.steps = steps
    self.guidanceScale = guidanceScale
    self.judge = judge
    self.judgeDigest = judgeDigest
  }

  /// The first twelve digits of the digest of all parts: equal ones may be compared.
  public var fingerprint: String { String(Digest(hashing: parts.canonical()).hex.prefix(12)) }

  /// The parts by name; what is absent is left out.
  public var parts: JSON {
    var parts: [String: JSON] = [
      "metric": .string(metric), "settings": .object(settings), "sampler": .string(sampler), "steps": .integer(steps),
      "guidance_scale": .number(guidanceScale),
    ]
    parts["prompts"] = prompts.map(JSON.string)
    parts["prompts_digest"] = promptsDigest.map { .string($0.hex) }
    parts["count"] = count.map(JSON.integer)
    parts["judge"] = judge.map(JSON.string)
    parts["judge_digest"] = judgeDigest.map { .string($0.hex) }
    return .object(parts)
  }

  /// The names of the parts in which some of several protocols differ, each setting by its own.
  public static func differences(_ protocols: [MeasurementProtocol]) -> [String] {
    let parts = protocols.map { each in
      (each.parts.object ?? [:]).filter { $0.key != "settings" }.merging(each.settings) { part, _ in part }
    }
    return Set(parts.flatMap(\.keys)).sorted().filter { key in parts.contains { $0[key] != parts[0][key] } }
  }
}

extension MeasurementProtocol {
  /// The parts and their fingerprint, as a record keeps them.
  var json: JSON {
    var members = parts.object ?? [:]
    members["fingerprint"] = .string(fingerprint)
    return .object(members)
  }

  /// The fingerprint is made anew from the parts.
  init(_ members: RecordMembers) throws(RecordError) {
    try self.init(
      metric: members.string("metric"), settings: members.object("settings"),
      prompts: members.optionalString("prompts"), promptsDigest: members.optionalDigest("prompts_digest"),
      count: members.optionalInteger("count"),
      sampler: members.string("sampler"), steps: members.integer("steps"),
      guidanceScale: members.number("guidance_scale"), judge: members.optionalString("judge"),
      judgeDigest: members.optionalDigest("judge_digest"))
  }
}
