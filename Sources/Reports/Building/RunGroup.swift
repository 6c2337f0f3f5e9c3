internal import Configuration

/// The runs of one configuration over its seeds: what one row of a table is made of.
public struct RunGroup: Equatable, Sendable {
  public var label: String
  public var technique: String
  public var groupHash: String
  public var isReference: Bool
  /// One finished run for each seed, the latest where a seed was run more than once, by ascending seed.
  public var runs: [ReportedRun]
}

/// The runs that a specification selects, sorted into rows, with what was left out and why.
struct RunGrouping {
  var groups: [RunGroup] = []
  /// Runs whose configuration and seed no later run finished.
  var unfinished: [(label: String, run: ReportedRun)] = []
  /// Points that a selection names and nobody ran, in words.
  var missing: [String] = []
  /// Runs of the same configuration and seed that did not give the same values, in words.
  var disagreements: [String] = []

  /// - Parameter points: what the experiment files spell out that selections name.
  init(_ runs: [ReportedRun], by selections: [RunSelection], points: [String: [ExpectedPoint]]) {
    // The latest first; ids decide between runs that started in the same instant, so that the order is always the same.
    var left = runs.sorted { ($0.started, $0.id) > ($1.started, $1.id) }
    var rows: [(group: RunGroup, selection: RunSelection)] = []
    var tombstones: [(run: ReportedRun, selection: RunSelection)] = []
    for selection in selections {
      let expected = selection.source.flatMap { points[$0] } ?? []
      let matching = left.filter { selection.matches($0, points: expected) }
      left.removeAll { selection.matches($0, points: expected) }
      // Among all runs: a point that an earlier selection shows was run.
      noteMissing(selection, expected, among: runs)
      var selected: [RunGroup] = []
      for run in latest(of: matching) {
        guard run.status == .finished else {
          tombstones.append((run, selection))
          continue
        }
        if let index = selected.firstIndex(where: { $0.groupHash == run.groupHash }) {
          selected[index].runs.append(run)
        } else {
          selected.append(
            RunGroup(
              label: "", technique: run.technique, groupHash: run.groupHash,
              isReference: selection.reference ?? (run.technique == "base"), runs: [run]))
        }
      }
      for index in selected.indices { selected[index].runs.sort { ($0.seed, $0.id) < ($1.seed, $1.id) } }
      let order = RowLabels.settings(thatDifferAmong: selected.compactMap(\.runs.first?.configuration))
      selected.sort { RowLabels.precedes($0.runs[0], $1.runs[0], by: order) }
      rows += selected.map { ($0, selection) }
    }
    let labels = RowLabels.labels(
      for: rows.map { ($0.group.runs[0], $0.selection.label) } + tombstones.map { ($0.run, $0.selection.label) })
    for (index, row) in rows.enumerated() {
      var group = row.group
      group.label = labels[index]
      groups.append(group)
    }
    unfinished = tombstones.enumerated().map { (labels[rows.count + $0.offset], $0.element.run) }
      .sorted { ($0.label, $0.run.seed) < ($1.label, $1.run.seed) }
  }

  /// For each configuration and seed the latest run that finished, or else the latest; `runs` are sorted latest first.
  private mutating func latest(of runs: [ReportedRun]) -> [ReportedRun] {
    var chosen: [String: ReportedRun] = [:]
    var order: [String] = []
    for run in runs {
      guard let before = chosen[run.configHash] else {
        chosen[run.configHash] = run
        order.append(run.configHash)
        continue
      }
      if before.status != .finished, run.status == .finished {
        chosen[run.configHash] = run
      } else if run.status == .finished {
        noteDisagreement(between: before, and: run)
      }
    }
    return order.compactMap { chosen[$0] }
  }

  private mutating func noteDisagreement(between shown: ReportedRun, and other: ReportedRun) {
    let differing = shown.values.filter { value in
      value.isRepeatable
        && other.values.contains {
          $0.name == value.name && $0.method.agrees(with: value.method) && $0.value != value.value
        }
    }
    guard !differing.isEmpty else { return }
    disagreements.append(
      "Runs \(shown.id.prefix(12)) and \(other.id.prefix(12)) have the same configuration and seed but differ in "
        + "\(differing.map(\.name).joined(separator: ", ")); the later one, \(shown.id.prefix(12)), is shown.")
  }

  private mutating func noteMissing(
    _ selection: RunSelection, _ expected: [ExpectedPoint], among runs: [ReportedRun]
  ) {
    let matching = runs.filter { selection.matches($0, points: expected) }
    guard !matching.isEmpty else {
      missing.append("no run at all of \(selection.words)")
      return
    }
    let wanted = expected.filter(selection.expects)
    // A run that the selection passes over for its name or its tags answers the point all the same.
    for point in wanted where !runs.contains(where: { $0.configHash == point.configHash }) {
      missing.append(point.words)
    }
    // What the file spells out is accounted for already.
    let known: [JSON] = matching.map(\.configuration) + wanted.map(\.configuration)
    for point in selection.values.points where !point.isEmpty {
      let isThere = known.contains { configuration in
        point.allSatisfy { configuration.value(at: $0.keyPath) == $0.value }
      }
      if !isThere {
        missing.append(point.map { "\($0.keyPath) = \(plain($0.value))" }.joined(separator: ", "))
      }
    }
  }
}
