/// Writes a table as comma-separated values (RFC 4180): one record for each row, numbers with all their digits.
public enum CSV {
  /// For each column of the table the file has `KEY` (the mean) and, where any row has more than one seed, `KEY.std`
  /// and `KEY.n`. A value that is not there is an empty field.
  ///
  /// - Parameter runIDs: where they stand beside the table, ``runs(of:)`` has them
  public static func document(_ table: ReportTable, runIDs: TableSpec.RunIDs = .below) -> String {
    let spreads = table.columns.indices.map { index in
      table.rows.contains { ($0.cells[index]?.count ?? 0) > 1 }
    }
    var records = [["label", "technique", "configuration", "seeds"] + (runIDs == .below ? ["runs"] : [])]
    for (column, spread) in zip(table.columns, spreads) {
      records[0] += spread ? [column.key, column.key + ".std", column.key + ".n"] : [column.key]
    }
    for row in table.rows {
      var record = [
        row.label, row.technique, row.configuration, row.runs.map { String($0.seed) }.joined(separator: " "),
      ]
      if runIDs == .below { record.append(row.runs.map(\.id).joined(separator: " ")) }
      for (cell, spread) in zip(row.cells, spreads) {
        record.append(cell.map { number($0.mean) } ?? "")
        if spread { record += [cell?.deviation.map(number) ?? "", cell.map { String($0.count) } ?? ""] }
      }
      records.append(record)
    }
    return lines(records)
  }

  /// The runs behind each row, one to a record.
  public static func runs(of table: ReportTable) -> String {
    lines(
      [["label", "seed", "run"]] + table.rows.flatMap { row in row.runs.map { [row.label, String($0.seed), $0.id] } })
  }

  private static func lines(_ records: [[String]]) -> String {
    records.map { $0.map(field).joined(separator: ",") + "\r\n" }.joined()
  }

  /// Quoted only where the format asks for it.
  static func field(_ text: String) -> String {
    guard text.utf8.contains(where: { [0x2C, 0x22, 0x0D, 0x0A].contains($0) }) else { return text }
    var quoted = ""
    for scalar in text.unicodeScalars { quoted += scalar == "\"" ? "\"\"" : String(scalar) }
    return "\"\(quoted)\""
  }

  /// The shortest text that reads back as the same number; whole numbers without a fraction.
  private static func number(_ value: Double) -> String {
    if let whole = Int(exactly: value) { return String(whole) }
    return value.isFinite ? "\(value)" : ""
  }
}
