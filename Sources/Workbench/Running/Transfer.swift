internal import Attacks
internal import Configuration
public import Store

/// How well adversarial prompts that an attack found on one edited model serve against others.
public struct TransferMatrix: Sendable {
  /// One run of the matrix: the prompts of one model on another.
  public struct Cell: Sendable {
    public let value: Double?
    public let interval: RunRecord.Metric.Interval?
    public let run: Digest
  }

  public let attack: String
  /// The value that the cells are, `cer_unlearn_diff` for example.
  public let metric: String
  public let unit: String
  /// What tells the models apart, in the order of rows and columns.
  public let labels: [String]
  /// `cells[a][b]`: found on a, tried on b.
  public let cells: [[Cell]]
}

extension Runner {
  /// Fills the matrix "found on A, tried on B" of an attack. Each point is run as it stands, which is the diagonal, and
  /// again with the prompts that were found on each other one; what the store has of all that is not computed again.
  ///
  /// - Parameters:
  ///   - points: at least two, each with a metric that is measured under the attack
  ///   - attack: the attack's name in their experiments
  /// - Throws: `ConfigurationError` for a point without the attack or without a metric under it, ``TransferError`` for
  ///   a run that did not finish, `CancellationError` for one that was interrupted.
  public func transfer(
    _ points: [ExperimentPoint], attack: String, monitor: RunMonitor = RunMonitor()
  ) throws -> TransferMatrix {
    let asked = try points.map { try attacked($0, by: attack, prompts: nil) }
    let labels = Self.labels(of: points)
    try check(asked)
    let own = try run(asked, monitor: monitor).map { try Self.finished($0) }
    guard own.count == points.count else { throw CancellationError() }
    let metric = "\(asked[0].metrics[0].name)_\(attack)"
    func value(of outcome: RunOutcome) throws -> RunRecord.Metric {
      guard let value = outcome.record.metrics.first(where: { $0.name == metric }) else {
        throw TransferError("run \(outcome.run.short) has no value \(metric)")
      }
      return value
    }
    let values = try own.map { try value(of: $0) }
    let unlike = MeasurementProtocol.differences(values.compactMap(\.measurement))
    guard unlike.isEmpty else {
      throw TransferError(
        "\(metric) is not measured alike on all models: other \(unlike.joined(separator: ", "))")
    }
    let prompts = try own.map { outcome in
      guard let digest = outcome.record.output(AttackStage.stageName(attack)) else {
        throw TransferError("run \(outcome.run.short) keeps no prompts of the attack \"\(attack)\"")
      }
      return store.objects.path(of: digest)
    }
    let rows = try points.indices.map { found in
      try points.indices.map { tried in
        guard found != tried else { return own[found] }
        let point = try attacked(points[tried], by: attack, prompts: prompts[found])
        guard let outcome = try run([point], monitor: monitor).first else { throw CancellationError() }
        return try Self.finished(outcome)
      }
    }
    return try TransferMatrix(
      attack: attack, metric: metric, unit: values[0].unit, labels: labels,
      cells: rows.map { row in
        try row.map { outcome in
          let value = try value(of: outcome)
          return TransferMatrix.Cell(value: value.value, interval: value.interval, run: outcome.run)
        }
      })
  }

  /// The point with its metrics under the attack alone.
  ///
  /// - Parameter prompts: a file of prompts that takes the place of the search
  private func attacked(
    _ point: ExperimentPoint, by attack: String, prompts: String?
  ) throws -> ExperimentPoint {
    let names = point.attacks.map(\.name)
    guard names.contains(attack) else {
      throw ConfigurationError(
        file: point.file, keyPath: "attacks",
        "there is no attack \"\(attack)\"" + suggestion(for: attack, among: names))
    }
    let metrics = point.metrics.filter { $0.attackName == attack }
    guard !metrics.isEmpty else {
      throw ConfigurationError(
        file: point.file, keyPath: "metrics", "none is measured under the attack \"\(attack)\"")
    }
    var document = try point.json.setting("metrics", to: .array(metrics.map(\.json)))
    if let prompts {
      // The files that the point's own run writes are for its own prompts.
      document = try catalogue.withoutWrittenFiles(document)
      document = try document.setting("attacks.\(attack).config.precomputed_prompts_path", to: .string(prompts))
    }
    let experiment = try Experiment(document, file: point.file, catalogue: catalogue)
    guard let resolved = try self.points(of: experiment).first else {
      throw TransferError("\(point.file) has no point to run")
    }
    return resolved
  }

  private static func finished(_ outcome: RunOutcome) throws -> RunOutcome {
    switch outcome.record.status {
    case .finished: return outcome
    case .interrupted: throw CancellationError()
    default: throw TransferError("run \(outcome.run.short) failed: \(outcome.record.error ?? "for no known reason")")
    }
  }

  /// The names of the experiments, with what sets points of one apart.
  private static func labels(of points: [ExperimentPoint]) -> [String] {
    points.map { point in
      let settings = point.set.sorted { $0.key < $1.key }.map { keyPath, value in
        "\(keyPath.split(separator: ".").last.map(String.init) ?? keyPath) = \(value.string ?? value.canonical())"
      }
      let isAlone = points.count { $0.experiment == point.experiment } == 1
      return ([point.experiment] + settings + (isAlone ? [] : ["seed \(point.seed)"])).joined(separator: ", ")
    }
  }
}

/// Why a matrix cannot be filled, in one sentence.
public struct TransferError: Error, Equatable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}
