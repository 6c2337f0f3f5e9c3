public import Configuration

extension CSV {
  /// A table as comma-separated values: one record for each row, numbers with all their digits.
  ///
  /// For each column of the table the file has `KEY` (the mean) and, where any row has more than one seed, `KEY.std`
  /// and `KEY.n`; where the column has confidence intervals, `KEY.lower` and `KEY.upper`; where it has a control,
  /// `KEY.from_control` with the ends of that difference. A value that is not there is an empty field. Differences of
  /// rows follow the rows and have no configuration.
  ///
  /// - Parameter runIDs: where they stand beside the table, ``runs(of:)`` has them
  public static func document(_ table: ReportTable, runIDs: TableSpec.RunIDs = .below) -> String {
    let spreads = table.columns.indices.map { index in
      table.rows.contains { ($0.cells[index]?.count ?? 0) > 1 }
    }
    let intervals = table.columns.indices.map { index in table.rows.contains { $0.cells[index]?.interval != nil } }
    let controls = table.columns.indices.map { index in table.rows.contains { $0.cells[index]?.fromControl != nil } }
    var records = [["label", "technique", "configuration", "seeds"] + (runIDs == .below ? ["runs"] : [])]
    for (index, column) in table.columns.enumerated() {
      records[0] += spreads[index] ? [column.key, column.key + ".std", column.key + ".n"] : [column.key]
      if intervals[index] { records[0] += [column.key + ".lower", column.key + ".upper"] }
      if controls[index] { records[0] += ["", ".lower", ".upper"].map { column.key + ".from_control" + $0 } }
    }
    for row in table.rows + table.differences {
      var record = [
        row.label, row.technique, row.configuration, row.runs.map { String($0.seed) }.joined(separator: " "),
      ]
      if runIDs == .below { record.append(row.runs.map(\.id).joined(separator: " ")) }
      for (index, cell) in row.cells.enumerated() {
        record.append(cell.map { number($0.mean) } ?? "")
        if spreads[index] { record += [cell?.deviation.map(number) ?? "", cell.map { String($0.count) } ?? ""] }
        if intervals[index] {
          record += [cell?.interval?.lowerBound, cell?.interval?.upperBound].map { $0.map(number) ?? "" }
        }
        if controls[index] {
          let difference = cell?.fromControl
          record += [difference?.mean, difference?.interval?.lowerBound, difference?.interval?.upperBound]
            .map { $0.map(number) ?? "" }
        }
      }
      records.append(record)
    }
    return text(records)
  }

  /// The runs behind each row, one to a record.
  public static func runs(of table: ReportTable) -> String {
    text(
      [["label", "seed", "run"]] + table.rows.flatMap { row in row.runs.map { [row.label, String($0.seed), $0.id] } })
  }

  /// The shortest text that reads back as the same number; whole numbers without a fraction.
  private static func number(_ value: Double) -> String {
    if let whole = Int(exactly: value) { return String(whole) }
    return value.isFinite ? "\(value)" : ""
  }
}
