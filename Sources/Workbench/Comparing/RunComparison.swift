public import Configuration
public import Store

/// Runs side by side: where their experiments differ, where what surrounded them differs, and in what they came out
/// otherwise.
public struct RunComparison: Sendable {
  /// One place at which at least two of the runs differ.
  public struct Difference: Equatable, Sendable {
    /// Where, for example `technique.config.alpha`.
    public let keyPath: String
    /// One for each run; `nil` where it has nothing there.
    public let values: [JSON?]
  }

  /// One metric value, as each run has it.
  public struct Measure: Equatable, Sendable {
    public let name: String
    public let direction: String
    public let unit: String
    /// One for each run; `nil` where it has no such value, or an undefined one.
    public let values: [Double?]
    /// The number of images behind each value.
    public let counts: [Int?]
    public let judges: [String?]
    /// The 95 % confidence interval of each value; `nil` where there is none.
    public let intervals: [RunRecord.Metric.Interval?]
    /// How each value was measured; `nil` where its record does not say.
    public let protocols: [MeasurementProtocol?]
    /// For shares: how many standard errors each value lies from the first; see ``RunComparison``.
    public let standardErrors: [Double?]

    /// Each value less the first one; `nil` where they were not measured alike, so that the difference says nothing.
    public var changes: [Double?] {
      guard isComparable else { return values.map { _ in nil } }
      return values.map { value in values.first.flatMap { $0 }.flatMap { first in value.map { $0 - first } } }
    }

    /// The parts in which some values were measured otherwise than others, so that they must not be compared: as the
    /// records say, and of older records what these say.
    public var unlike: [String] {
      var parts = Set(MeasurementProtocol.differences(protocols.compactMap(\.self)))
      if Set(counts.compactMap(\.self)).count > 1 { parts.insert("count") }
      if Set(judges.compactMap(\.self)).count > 1 { parts.insert("judge") }
      return parts.sorted()
    }

    /// Whether all values were measured alike, so that they may be compared.
    public var isComparable: Bool { unlike.isEmpty }
  }

  public let runs: [Digest]
  /// Differences of the resolved experiments, in the order of their key paths.
  public let config: [Difference]
  /// Differences of code and commit, and of the machine so far as results may depend on it.
  public let surroundings: [Difference]
  /// All values, in the order in which the runs have them.
  public let metrics: [Measure]
  /// Outputs that all runs have and that are the same bytes in all, and those that are not.
  public let equalOutputs: [String]
  public let otherOutputs: [String]

  /// - Parameter runs: two or more, the first of which the others are held against
  public init(_ runs: [(id: Digest, record: RunRecord)]) {
    self.runs = runs.map(\.id)
    config = Self.differences(runs.map { $0.record.experiment })
    surroundings = Self.differences(runs.map { Self.surroundings(of: $0.record) })
    metrics = Self.measures(runs.map(\.record))
    var (equal, other): ([String], [String]) = ([], [])
    for output in runs.first?.record.outputs ?? [] {
      let digests = runs.map { run in run.record.outputs.first { $0.name == output.name }?.digest }
      guard !digests.contains(nil) else { continue }
      if Set(digests).count == 1 { equal.append(output.name) } else { other.append(output.name) }
    }
    equalOutputs = equal
    otherOutputs = other
  }

  private static func surroundings(of record: RunRecord) -> JSON {
    var members: [String: JSON] = ["uncommitted_changes": .bool(record.git.isDirty)]
    for part in record.environment.parts where part.affectsResult { members[part.name] = .string(part.value) }
    members["commit"] = record.git.commit.map(JSON.string)
    members["patch"] = record.git.patch.map { .string($0.short) }
    return .object(members)
  }

  // MARK: Metrics

  private static func measures(_ records: [RunRecord]) -> [Measure] {
    var names: [String] = []
    for metric in records.flatMap(\.metrics) where !names.contains(metric.name) { names.append(metric.name) }
    return names.compactMap { name in
      let found = records.map { record in record.metrics.first { $0.name == name } }
      guard let known = found.compactMap(\.self).first else { return nil }
      return Measure(
        name: name, direction: known.direction, unit: known.unit, values: found.map { $0?.value },
        counts: found.map { $0?.count }, judges: found.map { $0?.judge }, intervals: found.map { $0?.interval },
        protocols: found.map { $0?.measurement },
        standardErrors: found.map { standardErrors(known.unit, from: found[0], to: $0) })
    }
  }

  /// The difference of two shares in standard errors, by the pooled two-sample test of proportions. Images are taken as
  /// independent; runs that start from the same noise differ by less chance than that, so that what stands out here
  /// stands out indeed.
  private static func standardErrors(_ unit: String, from first: RunRecord.Metric?, to second: RunRecord.Metric?)
    -> Double?
  {
    guard unit == "fraction", let p = first?.value, let q = second?.value, let n = first?.count, let m = second?.count,
      n > 0, m > 0
    else { return nil }
    let pooled = (p * Double(n) + q * Double(m)) / Double(n + m)
    let variance = pooled * (1 - pooled) * (1 / Double(n) + 1 / Double(m))
    guard variance > 0 else { return p == q ? 0 : nil }
    return (q - p) / variance.squareRoot()
  }

  // MARK: Differences of JSON values

  private static func differences(_ values: [JSON]) -> [Difference] {
    var found: [Difference] = []
    compare(values, at: "", into: &found)
    return found
  }

  private static func compare(_ values: [JSON?], at keyPath: String, into found: inout [Difference]) {
    // What is absent is not set either.
    let values = values.map { $0 == .null ? nil : $0 }
    if values.dropFirst().allSatisfy({ $0 == values[0] }) { return }
    // Experiments list metrics by name, and not every one has all of them.
    let members = values.map { $0.flatMap(Self.members) }
    guard members.contains(where: { $0 != nil }), zip(values, members).allSatisfy({ $0 == nil || $1 != nil }) else {
      found.append(Difference(keyPath: keyPath, values: values))
      return
    }
    for key in Set(members.compactMap(\.self).flatMap(\.keys)).sorted() {
      compare(members.map { $0?[key] }, at: keyPath.isEmpty ? key : "\(keyPath).\(key)", into: &found)
    }
  }

  /// The members of an object, or the elements of a list of named objects by their names.
  private static func members(_ json: JSON) -> [String: JSON]? {
    if let object = json.object { return object }
    guard let elements = json.array, !elements.isEmpty else { return nil }
    let names = elements.compactMap { $0["name"]?.string }
    guard names.count == elements.count, Set(names).count == names.count else { return nil }
    return Dictionary(uniqueKeysWithValues: zip(names, elements))
  }
}
