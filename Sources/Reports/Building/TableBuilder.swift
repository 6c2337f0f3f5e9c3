public import Configuration

/// Makes a table of runs: rows by configuration, mean and deviation over seeds, and a note for everything that a reader
/// must know to trust a number.
public struct TableBuilder: Sendable {
  public let table: ReportTable
  /// The rows before they were summed up, in the order of the table's rows.
  public let groups: [RunGroup]

  /// - Parameters:
  ///   - runs: all runs there are; the specification selects among them.
  ///   - points: what the experiment files spell out that the specification names, by the name it gives them.
  /// - Throws: ``ConfigurationError`` if nothing that finished is selected, or if a column's value is in no selected
  ///   run.
  public init(
    _ spec: TableSpec, runs: [ReportedRun], points: [String: [ExpectedPoint]] = [:]
  ) throws(ConfigurationError) {
    let grouping = RunGrouping(runs, by: spec.runs, points: points)
    guard !grouping.groups.isEmpty else { throw Self.nothingSelected(spec, runs, grouping) }
    groups = grouping.groups
    var table = ReportTable(title: spec.title, corner: spec.corner, columns: [], rows: grouping.groups.map(Self.row))
    var notes: [String] = []
    let samplers = Self.commonSampler(of: grouping.groups, spec.columns)
    for (index, column) in spec.columns.enumerated() {
      try Self.append(column, at: index, of: spec, from: grouping.groups, commonSampler: samplers, to: &table, &notes)
    }
    Self.holdAgainstControls(spec.columns, in: &table, &notes)
    table.differences = try Self.differences(spec, of: table, &notes)
    if let samplers { notes.append("All images: \(samplers).") }
    table.markBest()
    table.notes = notes + Self.accounts(grouping)
    self.table = table
  }

  private static func row(_ group: RunGroup) -> ReportTable.Row {
    ReportTable.Row(
      label: group.label, technique: group.technique, configuration: group.groupHash, isReference: group.isReference,
      cells: [], runs: group.runs.map { ReportTable.RunReference(id: $0.id, seed: $0.seed) })
  }

  // MARK: Columns

  /// Adds the columns of one metric: one if all its values were measured alike, else one for each way of measuring.
  private static func append(
    _ column: ColumnSpec, at index: Int, of spec: TableSpec, from groups: [RunGroup], commonSampler: String?,
    to table: inout ReportTable, _ notes: inout [String]
  ) throws(ConfigurationError) {
    let measured = groups.map { group in
      group.runs.flatMap { run in run.values.filter { $0.name == column.metric && $0.value?.isFinite == true } }
    }
    let all = measured.flatMap(\.self)
    guard let first = all.first else {
      let known = groups.flatMap { $0.runs.flatMap { $0.values.map(\.name) } }
      throw ConfigurationError(
        file: spec.file, keyPath: "columns.\(index)",
        "no selected run has a value \"\(column.metric)\""
          + suggestion(for: column.metric, among: Set(known).sorted()))
    }
    // A record without a fingerprint may stand beside the one way of measuring that agrees in all that it does say.
    let known = Set(all.map(\.method).filter { $0.fingerprint != nil })
    func method(of value: MeasuredValue) -> MeasuringMethod {
      guard value.method.fingerprint == nil else { return value.method }
      let alike = known.filter { $0.withoutFingerprint == value.method }
      return alike.count == 1 ? alike.first ?? value.method : value.method
    }
    var methods: [MeasuringMethod] = []
    for value in all where !methods.contains(method(of: value)) { methods.append(method(of: value)) }
    let header = column.label ?? column.metric
    let better = column.direction ?? first.better
    let digits = column.digits ?? (all.allSatisfy { abs($0.value ?? 0) < 10 } ? 2 : 1)
    for way in methods {
      let difference = MeasuringMethod.Part.allCases.filter { part in
        methods.contains { $0.parts[part] != way.parts[part] }
      }.map { way.parts[$0] ?? unstated($0) }
      let suffix = difference.isEmpty ? "" : " (\(difference.joined(separator: ", ")))"
      table.columns.append(
        ReportTable.Column(
          key: column.metric
            + (methods.count > 1
              ? "#\(table.columns.count(where: { $0.key.hasPrefix(column.metric + "#") }) + 1)" : ""),
          header: header + suffix, unit: way.unit, better: better, digits: digits))
      for (row, values) in measured.enumerated() {
        let values = values.filter { method(of: $0) == way }
        let summary = Summary(values.compactMap(\.value))
        let interval = column.interval ? Summary.interval(values.map { ($0.value, $0.interval) }) : nil
        table.rows[row].cells.append(
          summary.map {
            ReportTable.Cell(mean: $0.mean, deviation: $0.deviation, count: $0.count, interval: interval)
          })
      }
      var parts = way.parts
      if commonSampler != nil { parts[.sampler] = nil }
      let words = MeasuringMethod.Part.plain.compactMap { parts[$0] }
      if methods.count == 1, !words.isEmpty { notes.append("\(header): \(words.joined(separator: ", ")).") }
    }
    if methods.count > 1 {
      notes.append(
        "\(header) was measured in \(methods.count) ways, which do not share a column: values in different columns "
          + "must not be compared.")
    }
    let unproven = all.count { $0.method != method(of: $0) }
    if unproven > 0 {
      notes.append(
        "\(header): \(counted(unproven, "value")) of records that do not name prompts and judge weights stand"
          + "\(unproven == 1 ? "s" : "") beside the others because unit, number, judge and sampler agree.")
    }
    if column.interval, !all.contains(where: { $0.interval != nil }) {
      notes.append("\(header): no record has a confidence interval of it.")
    }
    let absent = groups.flatMap(\.runs).filter { run in
      !run.values.contains { $0.name == column.metric && $0.value?.isFinite == true }
    }
    if !absent.isEmpty {
      notes.append("\(header): no value in \(counted(absent.count, "run")) (\(ids(absent))).")
    }
  }

  // MARK: Differences

  /// Gives each cell of a column with a control its distance from the control's cell in the same row.
  private static func holdAgainstControls(
    _ columns: [ColumnSpec], in table: inout ReportTable, _ notes: inout [String]
  ) {
    for column in columns {
      guard let control = column.control else { continue }
      // A value that was measured in several ways has several columns, none of which has the plain key.
      guard let index = table.columns.firstIndex(where: { $0.key == column.metric }),
        let other = table.columns.firstIndex(where: { $0.key == control })
      else {
        notes.append(
          "\(column.label ?? column.metric) is not held against its control: one of the two was measured in several "
            + "ways.")
        continue
      }
      for row in table.rows.indices {
        guard let cell = table.rows[row].cells[index], let control = table.rows[row].cells[other] else { continue }
        table.rows[row].cells[index]?.fromControl = Difference(of: cell, less: control)
      }
    }
  }

  private static func differences(
    _ spec: TableSpec, of table: ReportTable, _ notes: inout [String]
  ) throws(ConfigurationError) -> [ReportTable.Row] {
    let labels = table.rows.map(\.label)
    /// - Returns: nil for a label whose runs are not there yet
    func row(_ label: String, _ keyPath: String) throws(ConfigurationError) -> ReportTable.Row? {
      let row = table.rows.first { $0.label == label }
      guard row != nil || spec.runs.contains(where: { $0.label == label }) else {
        throw ConfigurationError(
          file: spec.file, keyPath: keyPath,
          "no row has the label \"\(label)\"" + suggestion(for: label, among: labels))
      }
      return row
    }
    var rows: [ReportTable.Row] = []
    for (index, difference) in spec.differences.enumerated() {
      let first = try row(difference.row, "differences.\(index).row")
      guard let minuend = first, let subtrahend = try row(difference.less, "differences.\(index).less") else {
        notes.append("There is no difference of \(difference.row) and \(difference.less) without the runs of both.")
        continue
      }
      let cells = zip(minuend.cells, subtrahend.cells).map { cell, other -> ReportTable.Cell? in
        guard let cell, let other else { return nil }
        let difference = Difference(of: cell, less: other)
        return ReportTable.Cell(
          mean: difference.mean, count: min(cell.count, other.count), interval: difference.interval)
      }
      rows.append(ReportTable.Row(label: "\(minuend.label) less \(subtrahend.label)", cells: cells))
    }
    return rows
  }

  private static func unstated(_ part: MeasuringMethod.Part) -> String {
    switch part {
    case .unit: "no unit"
    case .count: "unknown n"
    case .judge: "no judge"
    case .sampler: "unknown sampler"
    case .prompts: "unnamed prompts"
    case .weights: "unnamed judge weights"
    case .implementation: "unnamed settings"
    }
  }

  /// How images were drawn, if that is the same for every value that says so.
  private static func commonSampler(of groups: [RunGroup], _ columns: [ColumnSpec]) -> String? {
    let names = columns.map(\.metric)
    let samplers = Set(
      groups.flatMap { $0.runs.flatMap { $0.values.filter { names.contains($0.name) }.compactMap(\.method.sampler) } })
    return samplers.count == 1 ? samplers.first : nil
  }

  // MARK: Accounts

  /// What is not in the table and why: failed runs, points nobody ran, runs that disagree.
  private static func accounts(_ grouping: RunGrouping) -> [String] {
    var notes: [String] = []
    if !grouping.unfinished.isEmpty {
      let finished = grouping.groups.map(\.runs.count).reduce(0, +)
      let details = grouping.unfinished.map { entry in
        let reason = entry.run.error.map { ": \($0)" } ?? ""
        return "\(entry.label), seed \(entry.run.seed), run \(entry.run.id.prefix(12)), "
          + "\(entry.run.status.rawValue)\(reason)"
      }
      notes.append(
        "Left out: \(grouping.unfinished.count) of \(counted(finished + grouping.unfinished.count, "run")) did not "
          + "finish (\(details.joined(separator: "; "))).")
    }
    if !grouping.missing.isEmpty {
      notes.append(
        "Missing: \(counted(grouping.missing.count, "point")) never run (\(grouping.missing.joined(separator: "; "))).")
    }
    return notes + grouping.disagreements
  }

  private static func nothingSelected(
    _ spec: TableSpec, _ runs: [ReportedRun], _ grouping: RunGrouping
  ) -> ConfigurationError {
    if !grouping.unfinished.isEmpty {
      return ConfigurationError(
        file: spec.file, keyPath: "runs",
        grouping.unfinished.count == 1
          ? "the one run that it selects did not finish (\(ids(grouping.unfinished.map(\.run))));"
            + " run the experiment again"
          : "none of the \(grouping.unfinished.count) runs that it selects finished"
            + " (\(ids(grouping.unfinished.map(\.run)))); run the experiments again")
    }
    let experiments = Set(runs.map(\.experiment)).sorted()
    let wanted = spec.runs.compactMap(\.experiment).first { !experiments.contains($0) }
    let hint = wanted.map { suggestion(for: $0, among: experiments) } ?? ""
    return ConfigurationError(
      file: spec.file, keyPath: "runs",
      "no run in the store matches \(spec.runs.map { "\"\($0.words)\"" }.joined(separator: " or "))"
        + (experiments.isEmpty ? "; the store has no runs yet: lethe run comes first" : hint))
  }

  private static func ids(_ runs: [ReportedRun]) -> String {
    runs.map { String($0.id.prefix(12)) }.joined(separator: ", ")
  }
}

/// "1 run", "3 runs".
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
