import Configuration
import Foundation
import Store
import Testing
import Workbench

@Suite struct RunRecordTests {
  static let measurement = MeasurementProtocol(
    metric: "cer", settings: ["threshold": 0.5], prompts: "prompts of the concept",
    promptsDigest: Digest(hashing: "prompts"), count: 128, steps: 20, guidanceScale: 3, judge: "objects",
    judgeDigest: Digest(hashing: "judge"))

  /// A record in which every member says something.
  static func full(started: String = "2026-11-21T11:22:31.000001Z") -> RunRecord {
    RunRecord(
      experiment: ["technique": ["name": "ssd", "config": ["alpha": 5]], "seed": 7], name: "ssd",
      file: "experiments/ssd.json", technique: "ssd", seed: Int.max, settings: ["technique.config.alpha": 5],
      configHash: Digest(hashing: "config"), groupHash: Digest(hashing: "group"), status: .failed,
      error: "the model folder is gone",
      stages: [
        .init(name: "fisher", key: Digest(hashing: "key"), cached: true, seconds: 1.5, details: ["samples": 64]),
        .init(name: "edit", key: Digest(hashing: "other"), cached: false, seconds: 0.25),
      ],
      metrics: [
        .init(
          name: "cer", value: 0.9, direction: "higher", unit: "", count: 128, judge: "objects", details: ["circle": 1],
          interval: .init(lower: 0.83, upper: 0.94), measurement: measurement),
        .init(name: "fid", value: nil, direction: "lower", unit: ""),
      ],
      outputs: [.init(name: "model", digest: Digest(hashing: "model"))],
      git: GitState(
        repository: .present, commit: String(repeating: "a", count: 40), branch: "main", isDirty: true,
        patch: Digest(hashing: "patch"),
        omitted: [.init(path: "big.bin", bytes: 9, digest: Digest(hashing: "big"))]),
      environment: Environment.capture(threads: 2), started: started, finished: "2026-11-21T11:23:00.000000Z",
      tags: ["quick"], warnings: ["alpha is above 20"])
  }

  @Test func readsBackAsItWasWritten() throws {
    let record = Self.full()
    #expect(try RunRecord(json: record.json) == record)
    #expect(try RunRecord(json: try JSON.parse(record.json.canonical(), file: "record")) == record)
  }

  @Test func aRecordThatSaysNothingOfIntervalsAndProtocolsIsReadAsItIs() throws {
    var old = Self.full()
    old.metrics[0].interval = nil
    old.metrics[0].measurement = nil
    let text = old.json.canonical()
    #expect(!text.contains("interval") && !text.contains("protocol"))
    #expect(try RunRecord(json: JSON.parse(text, file: "record")) == old)
  }

  @Test func everyPartOfAProtocolIsInItsFingerprint() throws {
    let first = Self.measurement
    let changes: [(String, (inout MeasurementProtocol) -> Void)] = [
      ("metric", { $0.metric = "asr" }), ("threshold", { $0.settings["threshold"] = 0.6 }),
      ("window", { $0.settings["window"] = 7 }), ("prompts", { $0.prompts = "general" }),
      ("prompts_digest", { $0.promptsDigest = Digest(hashing: "others") }), ("count", { $0.count = 64 }),
      ("sampler", { $0.sampler = "PNDM" }), ("steps", { $0.steps = 50 }),
      ("guidance_scale", { $0.guidanceScale = 7.5 }),
      ("judge", { $0.judge = "clip" }), ("judge_digest", { $0.judgeDigest = nil }),
    ]
    for (part, change) in changes {
      var other = first
      change(&other)
      #expect(other.fingerprint != first.fingerprint, "\(part)")
      #expect(MeasurementProtocol.differences([first, other]) == [part])
    }
    #expect(MeasurementProtocol.differences([first, first]) == [])
    let record = Self.full()
    #expect(record.json["metrics"]?[0]?["protocol"]?["fingerprint"] == .string(first.fingerprint))
    let printed = record.summary(of: Digest(hashing: "run"))["metrics"]?[0]
    #expect(printed?["protocol"]?["judge_digest"] == .string(Digest(hashing: "judge").hex))
    #expect(printed?["interval"] == [0.83, 0.94])
  }

  @Test func isItsOwnIdInTheStoreAndAMetricThatIsNoNumberIsUndefined() throws {
    let folder = try TemporaryRepository(initialized: false)
    let store = try Store.open(folder.path + "/store")
    var record = Self.full()
    record.metrics[0].value = .nan
    let run = try store.add(record)
    #expect(run == Digest(hashing: record.json.canonical()))
    record.metrics[0].value = nil
    #expect(try store.run(run) == record)
  }

  @Test func theIndexSaysWhatTheRecordSays() throws {
    let folder = try TemporaryRepository(initialized: false)
    let store = try Store.open(folder.path + "/store")
    let record = Self.full()
    let run = try store.add(record)
    let facts = record.facts(of: run)
    #expect(try store.index().facts() == [facts])
    #expect(facts.run.settings == #"{"technique.config.alpha":5}"#)
    #expect(facts.metrics.map(\.name) == ["cer", "fid"])
    let rebuilt = try Store.open(folder.path + "/store").index()
    try rebuilt.rebuild()
    #expect(try rebuilt.facts() == [facts])
  }

  @Test func theSameExperimentTwiceIsTwoRuns() throws {
    let folder = try TemporaryRepository(initialized: false)
    let store = try Store.open(folder.path + "/store")
    let first = try store.add(Self.full())
    let second = try store.add(Self.full(started: "2026-11-21T11:22:31.000002Z"))
    #expect(first != second)
    #expect(try store.index().list(RunFilter(configHash: Digest(hashing: "config"))).map(\.runID) == [second, first])
  }

  @Test(arguments: [
    (
      "config_hash", JSON.string("abc"),
      #""config_hash" of the run record is the string "abc" where 64 hexadecimal digits is expected"#
    ),
    (
      "status", JSON.string("lost"),
      #""status" of the run record is the string "lost" where one of finished, failed, interrupted is expected"#
    ),
    ("tags", JSON.integer(1), #""tags" of the run record is the number 1 where a list is expected"#),
    (
      "format", JSON.string("lethe run 9"),
      #"the run record has the format "lethe run 9", and this version of Lethe knows "lethe run 1""#
    ),
  ])
  func aMemberThatIsWrongIsNamed(member: String, value: JSON, message: String) throws {
    let json = Self.full().json.merging(.object([member: value]))
    let error = try #require(throws: RecordError.self) { try RunRecord(json: json) }
    #expect(error.description == message)
  }

  @Test func aMemberThatIsMissingIsNamedWhereverItIs() throws {
    var json = Self.full().json
    json = json.merging(["metrics": [["name": "cer", "unit": ""]]])
    let error = try #require(throws: RecordError.self) { try RunRecord(json: json) }
    #expect(error.description == #""metrics[0]" of the run record has no "direction""#)
    #expect(throws: RecordError.self) { try RunRecord(json: ["format": "lethe run 1"]) }
    #expect(throws: RecordError.self) { try RunRecord(json: [1, 2]) }
  }
}
