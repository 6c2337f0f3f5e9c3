public import Configuration
internal import Store

extension RunRecord {
  /// The format that this version writes and reads.
  public static let format = "lethe run 1"

  /// The record as it is stored. Absent values are left out, so that equal records have equal bytes.
  public var json: JSON {
    .members([
      ("format", .string(Self.format)),
      ("experiment", experiment),
      ("name", .string(name)),
      ("file", file.map { .string($0) }),
      ("technique", .string(technique)),
      ("seed", .string(String(seed))),
      ("set", .object(settings)),
      ("config_hash", .string(configHash.hex)),
      ("group_hash", .string(groupHash.hex)),
      ("status", .string(status.rawValue)),
      ("error", error.map { .string($0) }),
      ("stages", .array(stages.map(\.json))),
      ("metrics", .array(metrics.map(\.json))),
      ("outputs", .array(outputs.map(\.json))),
      ("git", git.json),
      ("environment", environment.json),
      ("started", .string(started)),
      ("finished", .string(finished)),
      ("tags", .array(tags.map { .string($0) })),
      ("warnings", .array(warnings.map { .string($0) })),
    ])
  }

  /// Reads a stored record. Members that this version does not know are passed over.
  /// - Throws: ``RecordError`` that names the member at fault.
  public init(json: JSON) throws(RecordError) {
    let record = try RecordMembers(json, "the run record")
    let format = try record.string("format")
    guard format == Self.format else {
      throw RecordError(
        "the run record has the format \"\(format)\", and this version of Lethe knows \"\(Self.format)\"")
    }
    try self.init(
      experiment: record.value("experiment"), name: record.string("name"), file: record.optionalString("file"),
      technique: record.string("technique"), seed: record.seed("seed"), settings: record.object("set"),
      configHash: record.digest("config_hash"), groupHash: record.digest("group_hash"),
      status: record.choice("status", Status.self), error: record.optionalString("error"),
      stages: record.list("stages", Stage.init), metrics: record.list("metrics", Metric.init),
      outputs: record.list("outputs", Output.init), git: GitState(record.member("git")),
      environment: Environment(record.member("environment")), started: record.string("started"),
      finished: record.string("finished"), tags: record.strings("tags"), warnings: record.strings("warnings"))
  }
}

extension RunRecord.Stage {
  fileprivate var json: JSON {
    .members([
      ("name", .string(name)), ("key", .string(key.hex)), ("cached", .bool(cached)), ("seconds", .number(seconds)),
      ("computed_seconds", computedSeconds.map { .number($0) }), ("details", details),
    ])
  }

  fileprivate init(_ members: RecordMembers) throws(RecordError) {
    try self.init(
      name: members.string("name"), key: members.digest("key"), cached: members.bool("cached"),
      seconds: members.number("seconds"), computedSeconds: members.optionalNumber("computed_seconds"),
      details: members.optionalValue("details"))
  }
}

extension RunRecord.Metric {
  fileprivate var json: JSON {
    .members([
      ("name", .string(name)), ("value", finiteValue), ("direction", .string(direction)),
      ("unit", .string(unit)), ("count", count.map { .integer($0) }), ("judge", judge.map { .string($0) }),
      ("details", details), ("interval", interval?.json), ("protocol", measurement?.json),
    ])
  }

  /// JSON has no NaN: a value that is no number is stored as undefined.
  private var finiteValue: JSON? {
    guard let value, value.isFinite else { return Optional.none }
    return .number(value)
  }

  fileprivate init(_ members: RecordMembers) throws(RecordError) {
    try self.init(
      name: members.string("name"), value: members.optionalNumber("value"), direction: members.string("direction"),
      unit: members.string("unit"), count: members.optionalInteger("count"), judge: members.optionalString("judge"),
      details: members.optionalValue("details"), interval: members.optionalValue("interval").flatMap(Interval.init),
      measurement: members.optionalMember("protocol").map(MeasurementProtocol.init))
  }
}

extension RunRecord.Metric.Interval {
  /// - Returns: nil for anything but a list of two numbers
  init?(_ json: JSON) {
    guard let ends = json.array, ends.count == 2, let lower = ends[0].number, let upper = ends[1].number else {
      return nil
    }
    self.init(lower: lower, upper: upper)
  }
}

extension RunRecord.Output {
  fileprivate var json: JSON { ["name": .string(name), "digest": .string(digest.hex)] }

  fileprivate init(_ members: RecordMembers) throws(RecordError) {
    try self.init(name: members.string("name"), digest: members.digest("digest"))
  }
}

extension GitState {
  var json: JSON {
    .members([
      ("repository", .string(repository.rawValue)), ("commit", commit.map { .string($0) }),
      ("branch", branch.map { .string($0) }), ("dirty", .bool(isDirty)), ("patch", patch.map { .string($0.hex) }),
      (
        "omitted",
        .array(
          omitted.map {
            ["path": .string($0.path), "bytes": .integer($0.bytes), "digest": .string($0.digest.hex)]
          })
      ),
    ])
  }

  fileprivate init(_ members: RecordMembers) throws(RecordError) {
    try self.init(
      repository: members.choice("repository", Repository.self), commit: members.optionalString("commit"),
      branch: members.optionalString("branch"), isDirty: members.bool("dirty"), patch: members.optionalDigest("patch"),
      omitted: members.list("omitted") { file throws(RecordError) in
        OmittedFile(
          path: try file.string("path"), bytes: try file.integer("bytes"), digest: try file.digest("digest"))
      })
  }
}

extension Environment {
  var json: JSON {
    [
      "processor": .string(processor), "architecture": .string(architecture), "processors": .integer(processors),
      "threads": .integer(threads), "blas_core": .string(blasCore), "blas_configuration": .string(blasConfiguration),
      "libraries": .object(libraries.mapValues { .string($0) }), "swift": .string(swift),
      "operating_system": .string(operatingSystem), "kernel": .string(kernel), "sources": .string(sources.hex),
    ]
  }

  fileprivate init(_ members: RecordMembers) throws(RecordError) {
    var libraries: [String: String] = [:]
    for (name, version) in try members.object("libraries") { libraries[name] = version.string }
    try self.init(
      processor: members.string("processor"), architecture: members.string("architecture"),
      processors: members.integer("processors"), threads: members.integer("threads"),
      blasCore: members.string("blas_core"), blasConfiguration: members.string("blas_configuration"),
      libraries: libraries, swift: members.string("swift"), operatingSystem: members.string("operating_system"),
      kernel: members.string("kernel"), sources: members.digest("sources"))
  }
}

extension JSON {
  /// An object of the members that have a value.
  fileprivate static func members(_ members: [(String, JSON?)]) -> JSON {
    var object: [String: JSON] = [:]
    for (key, value) in members { object[key] = value }
    return .object(object)
  }
}
