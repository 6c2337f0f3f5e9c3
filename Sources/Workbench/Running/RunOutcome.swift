public import Configuration
public import Store

/// What became of one experiment point.
public struct RunOutcome: Sendable {
  /// The run's id.
  public let run: Digest
  public let record: RunRecord
  /// Stages that came out otherwise than the cache has on record; its entries stay as they were.
  public let conflicts: [CacheConflict]

  public init(run: Digest, record: RunRecord, conflicts: [CacheConflict] = []) {
    self.run = run
    self.record = record
    self.conflicts = conflicts
  }

  /// The run as `lethe run --json` prints it.
  public var json: JSON { record.summary(of: run) }
}

extension RunRecord {
  /// The run as `lethe run --json` and `lethe ls --json` print it.
  public func summary(of run: Digest) -> JSON {
    [
      "run_id": .string(run.hex), "config_hash": .string(configHash.hex), "experiment": .string(name),
      "technique": .string(technique), "seed": .integer(seed), "set": .object(settings),
      "status": .string(status.rawValue), "error": error.map { .string($0) } ?? .null,
      "stages": .array(
        stages.map {
          [
            "name": .string($0.name), "key": .string($0.key.hex), "cached": .bool($0.cached),
            "seconds": .number($0.seconds),
          ]
        }),
      "metrics": .array(
        metrics.map {
          [
            "name": .string($0.name), "value": $0.value.map { .number($0) } ?? .null,
            "direction": .string($0.direction), "unit": .string($0.unit),
            "count": $0.count.map { .integer($0) } ?? .null, "judge": $0.judge.map { .string($0) } ?? .null,
            "interval": $0.interval?.json ?? .null, "protocol": $0.measurement?.json ?? .null,
          ]
        }),
      "outputs": .array(outputs.map { ["name": .string($0.name), "digest": .string($0.digest.hex)] }),
      "warnings": .array(warnings.map { .string($0) }), "group_hash": .string(groupHash.hex),
      "started": .string(started), "finished": .string(finished), "tags": .array(tags.map { .string($0) }),
    ]
  }
}
