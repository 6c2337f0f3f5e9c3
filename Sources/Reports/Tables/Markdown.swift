/// Writes a table as GitHub-flavoured Markdown.
public enum Markdown {
  /// A picture that stands under the table, by its path relative to the Markdown file.
  public struct Figure: Equatable, Sendable {
    public let caption: String
    public let path: String

    public init(caption: String, path: String) {
      self.caption = caption
      self.path = path
    }
  }

  /// The whole report: title, table, what its marks mean, notes, figures, remarks, and the runs behind each row.
  ///
  /// - Parameter remarks: Markdown that somebody wrote about the table
  public static func document(
    _ table: ReportTable, figures: [Figure] = [], remarks: String? = nil, runIDs: TableSpec.RunIDs = .below
  ) -> String {
    var blocks = ["# " + escaped(table.title), grid(table)]
    if let legend = table.legend { blocks.append(escaped(legend)) }
    if !table.notes.isEmpty { blocks.append(table.notes.map { "- " + escaped($0) }.joined(separator: "\n")) }
    for figure in figures { blocks.append("![\(escaped(figure.caption))](\(address(figure.path)))") }
    if let remarks { blocks.append(String(remarks.reversed().drop { $0.isNewline }.reversed())) }
    if !table.footnote.isEmpty, runIDs == .below {
      blocks.append((["Runs:", ""] + table.footnote.map { "- " + escaped($0) }).joined(separator: "\n"))
    }
    return blocks.joined(separator: "\n\n") + "\n"
  }

  /// The table alone, its columns aligned so that the source reads as well as the page.
  public static func grid(_ table: ReportTable) -> String {
    let header = [escaped(table.corner)] + table.columns.map { escaped($0.heading) }
    let body = table.lines.map { row, texts in
      [escaped(row.label)]
        + zip(row.cells, texts).map { cell, text in cell?.isBest == true ? "**\(escaped(text))**" : escaped(text) }
    }
    let widths = header.indices.map { index in
      max(4, ([header] + body).map { displayWidth($0[index]) }.max() ?? 0)
    }
    func line(_ cells: [String]) -> String {
      "| "
        + zip(cells, widths).enumerated().map { index, pair in padded(pair.0, to: pair.1, leading: index > 0) }
        .joined(separator: " | ") + " |"
    }
    let rule = widths.enumerated().map { index, width in
      index == 0 ? ":" + String(repeating: "-", count: width - 1) : String(repeating: "-", count: width - 1) + ":"
    }
    return ([line(header), "| " + rule.joined(separator: " | ") + " |"] + body.map(line)).joined(separator: "\n")
  }

  /// Text in which nothing is read as markup and no line ends.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\", "`", "*", "_", "~", "&", "|", "<", "[", "]": result += "\\" + String(scalar)
      case "\n", "\r", "\t": result += " "
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// A path as the address of a picture: spaces and brackets would end it.
  private static func address(_ path: String) -> String {
    var result = ""
    for byte in path.utf8 {
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "<"), UInt8(ascii: ">"),
        UInt8(ascii: "%"), UInt8(ascii: "#"), UInt8(ascii: "?"), 0..<0x20, 0x7F...0xFF:
        result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      default: result.append(Character(Unicode.Scalar(byte)))
      }
    }
    return result
  }
}
