public import Configuration
public import Store
internal import Tensors

/// A past run executed again, output by output.
public struct Reproduction: Sendable {
  public enum Verdict: String, Sendable {
    /// Every byte is the same.
    case identical
    /// Not the same bytes, but near enough for another processor or other code; the tolerance is named.
    case withinTolerance = "within tolerance"
    case different
  }

  /// One output of both executions.
  public struct Output: Equatable, Sendable {
    public let name: String
    public let recorded: Digest
    /// Nil if the second execution has no such output.
    public let reproduced: Digest?
    public let verdict: Verdict
    /// What the two were held against; nil where bytes were.
    public let tolerance: String?
    /// Where and how much they differ, in a few words.
    public let detail: String?
  }

  /// The run that was executed again.
  public let run: Digest
  /// In the order of the graph.
  public let outputs: [Output]
  /// In which the machine or the code is not what it was.
  public let environment: [EnvironmentDifference]
  /// Known keys that came out with other bytes; the cache keeps what it had.
  public let conflicts: [CacheConflict]

  /// The worst of all outputs' verdicts.
  public var verdict: Verdict {
    if outputs.contains(where: { $0.verdict == .different }) { return .different }
    return outputs.contains { $0.verdict == .withinTolerance } ? .withinTolerance : .identical
  }

  /// The first output in the graph that is not identical.
  public var firstDivergence: Output? { outputs.first { $0.verdict != .identical } }

  /// The reproduction as `lethe reproduce --json` prints it.
  public var json: JSON {
    [
      "run_id": .string(run.hex), "verdict": .string(verdict.rawValue), "identical": .bool(verdict == .identical),
      "first_divergence": firstDivergence.map { .string($0.name) } ?? .null,
      "outputs": .array(outputs.map(\.json)),
      "environment": .array(
        environment.map {
          [
            "name": .string($0.name), "recorded": .string($0.recorded), "found": .string($0.found),
            "affects_result": .bool($0.affectsResult),
          ]
        }),
      "conflicts": .array(conflicts.map { .string($0.found.key.digest.hex) }),
    ]
  }
}

extension Reproduction.Output {
  fileprivate var json: JSON {
    [
      "name": .string(name), "recorded": .string(recorded.hex),
      "reproduced": reproduced.map { .string($0.hex) } ?? .null, "identical": .bool(verdict == .identical),
      "verdict": .string(verdict.rawValue), "tolerance": tolerance.map { .string($0) } ?? .null,
      "detail": detail.map { .string($0) } ?? .null,
    ]
  }
}

extension Runner {
  /// Executes a past run again without reading the cache, and compares every output with the recorded one.
  ///
  /// No record is made and nothing is overwritten. Outputs that are not identical are held against a tolerance only
  /// where the processor, a library or the code is another one; else they are different.
  ///
  /// - Throws: ``ReproductionError`` where the run cannot be executed again, `CancellationError`, or what ends the
  ///   second execution.
  public func reproduce(_ run: Digest, monitor: RunMonitor = RunMonitor()) throws -> Reproduction {
    let record = try store.run(run)
    guard record.status == .finished else {
      throw ReproductionError(
        "run \(run.short) did not finish (\(record.status.rawValue)), so it has no results to compare")
    }
    let isolated = Runner(
      store: store, locations: locations, catalogue: catalogue, code: code,
      options: Options(readsCache: false, batchSize: options.batchSize))
    let point = try isolated.point(of: record, run: run)
    let loaded = try isolated.stages(of: point).loaded
    guard loaded?.hex == record.loadedDigest else {
      let path = (point.technique.config["load_path"]?.string).map(point.resolve) ?? "load_path"
      throw ReproductionError("\(path) is not the file that run \(run.short) loaded")
    }
    monitor.handle(.runStarted(point, number: 1, of: 1))
    let execution = PointExecution(point, runner: isolated, monitor: monitor)
    try execution.run()

    let environment = record.environment.differences(to: Environment.capture(threads: Parallel.threadCount))
    let isElsewhere = environment.contains(where: \.affectsResult)
    let outputs = try record.outputs.map { output in
      try compare(output, with: execution.outputs.first { $0.name == output.name }?.digest, isElsewhere: isElsewhere)
    }
    return Reproduction(
      run: run, outputs: outputs, environment: environment, conflicts: isolated.results.takeConflicts())
  }

  private func compare(
    _ recorded: RunRecord.Output, with found: Digest?, isElsewhere: Bool
  ) throws -> Reproduction.Output {
    func output(
      _ verdict: Reproduction.Verdict, tolerance: String? = nil, detail: String? = nil
    ) -> Reproduction.Output {
      Reproduction.Output(
        name: recorded.name, recorded: recorded.digest, reproduced: found, verdict: verdict, tolerance: tolerance,
        detail: detail)
    }
    guard let found else { return output(.different, detail: "the second execution has no such output") }
    if found == recorded.digest { return output(.identical) }
    let comparison: OutputComparison
    do {
      comparison = try OutputComparison(recorded.name, recorded.digest, found, in: store.objects)
    } catch let error as StoreError where error.code == .missingObject {
      // The digests say that they differ; how much nobody can tell any more.
      return output(.different, detail: "the recorded output is no longer in the store")
    }
    guard isElsewhere else { return output(.different, detail: comparison.detail) }
    return output(
      comparison.isWithin ? .withinTolerance : .different, tolerance: comparison.tolerance, detail: comparison.detail)
  }
}
