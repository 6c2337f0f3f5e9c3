/// Draws a table for a terminal.
public enum TerminalTable {
  /// The title, the table under a ruled header, what its marks mean, the notes, and the runs behind each row.
  ///
  /// - Parameter styled: use bold for the best values and dim for the footnote, by the ANSI escapes that terminals
  ///   know. Without, the best values carry an asterisk.
  public static func text(_ table: ReportTable, styled: Bool) -> String {
    let header = [table.corner] + table.columns.map(\.heading)
    let body = table.lines.map { row, texts in [row.label] + texts }
    let widths = header.indices.map { index in ([header] + body).map { displayWidth($0[index]) }.max() ?? 0 }
    // An asterisk stands outside the column so that the digits stay aligned.
    let gap = styled ? "   " : "  "

    var lines = [bold(table.title, styled), ""]
    lines.append(
      trimmed(
        zip(header, widths).enumerated().map { index, pair in
          (index == 0 ? "" : gap) + padded(pair.0, to: pair.1, leading: index > 0) + mark(false, styled)
        }.joined()))
    let ruled = widths.reduce(0, +) + (widths.count - 1) * gap.count + (styled ? 0 : widths.count)
    lines.append(String(repeating: "─", count: ruled))
    for (row, texts) in zip(table.rows + table.differences, body) {
      var line = ""
      for (index, text) in texts.enumerated() {
        let cell = padded(text, to: widths[index], leading: index > 0)
        let isBest = index > 0 && row.cells[index - 1]?.isBest == true
        line += (index == 0 ? "" : gap) + (isBest ? bold(cell, styled) : cell) + mark(isBest, styled)
      }
      lines.append(trimmed(line))
    }
    lines.append("")
    if let legend = table.legend {
      lines.append(styled ? legend : legend.replacing("in bold", with: "marked *"))
    }
    lines += table.notes
    lines += table.footnote.map { dim("run " + $0, styled) }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func mark(_ isBest: Bool, _ styled: Bool) -> String { styled ? "" : isBest ? "*" : " " }
  private static func bold(_ text: String, _ styled: Bool) -> String { styled ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
  private static func dim(_ text: String, _ styled: Bool) -> String { styled ? "\u{1B}[2m\(text)\u{1B}[0m" : text }

  private static func trimmed(_ line: String) -> String {
    var line = line[...]
    while line.last == " " { line = line.dropLast() }
    return String(line)
  }
}
