import Configuration
import Store

/// The least that a run record needs for these tests, and how the index reads it. The real one is the workbench's.
enum SampleRecord {
  static func make(
    technique: String = "ssd", seed: Int = 0, status: String = "finished", started: String = "2026-01-01T00:00:00Z",
    tags: [String] = ["quick"], outputs: [String: Digest] = [:], value: Double? = 0.5, alpha: Int = 1
  ) -> JSON {
    [
      "technique": .string(technique), "seed": .integer(seed), "status": .string(status), "started": .string(started),
      "alpha": .integer(alpha), "tags": .array(tags.map { .string($0) }),
      "outputs": .object(outputs.mapValues { .string($0.hex) }), "cer": value.map { .number($0) } ?? .null,
    ]
  }

  static func configHash(technique: String, seed: Int?, alpha: Int) -> Digest {
    Digest(hashing: "\(technique) \(seed.map(String.init) ?? "any") \(alpha)")
  }

  struct Unreadable: Error, CustomStringConvertible {
    var description: String { "it has no technique" }
  }

  static let reader: RunIndex.Reader = { record, run in
    guard let technique = record["technique"]?.string, let seed = record["seed"]?.integer,
      let alpha = record["alpha"]?.integer
    else { throw Unreadable() }
    let outputs = record["outputs"]?.object ?? [:]
    return RunFacts(
      run: RunRow(
        runID: run, configHash: configHash(technique: technique, seed: seed, alpha: alpha),
        groupHash: configHash(technique: technique, seed: nil, alpha: alpha), experiment: "\(technique).json",
        technique: technique, seed: seed, status: record["status"]?.string ?? "", error: nil,
        started: record["started"]?.string ?? "", finished: record["started"]?.string ?? "",
        settings: #"{"technique.config.alpha":\#(alpha)}"#),
      tags: (record["tags"]?.array ?? []).compactMap(\.string),
      metrics: [
        MetricRow(
          name: "cer", value: record["cer"]?.number, direction: "higher", unit: "", count: 128, judge: "objects")
      ],
      outputs: outputs.sorted { $0.key < $1.key }.compactMap { name, value in
        value.string.flatMap { Digest(hex: $0) }.map { OutputRow(name: name, digest: $0) }
      },
      stages: [StageRow(name: "edit", key: Digest(hashing: "key \(alpha)"), cached: seed > 0, seconds: 1.5)])
  }
}

extension Store {
  /// A store for tests, whose warnings are collected.
  static func open(_ folder: TemporaryFolder, warnings: Sentences = Sentences(), create: Bool = true) throws -> Store {
    try Store(
      folder: folder.path + "/store", create: create, reader: SampleRecord.reader, warn: { warnings.append($0) })
  }
}

extension SampleRecord {
  /// Reads the records that `store-probe` writes.
  static let probeReader: RunIndex.Reader = { record, run in
    let name = record["name"]?.string ?? ""
    return RunFacts(
      run: RunRow(
        runID: run, configHash: Digest(hashing: name), groupHash: Digest(hashing: name), experiment: name,
        technique: "probe", seed: nil, status: "finished", error: nil, started: record["started"]?.string ?? "",
        finished: "", settings: "{}"),
      outputs: (record["outputs"]?.array ?? []).compactMap { output in
        output["digest"]?.string.flatMap { Digest(hex: $0) }.map { OutputRow(name: "set", digest: $0) }
      })
  }
}
