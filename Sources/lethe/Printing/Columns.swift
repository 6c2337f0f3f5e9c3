/// Text in columns: as wide as their widest cell, two spaces apart, the last one wrapped at the edge of the terminal.
struct Columns {
  private var rows: [[String]] = []
  private let header: [String]?
  /// Columns that are set flush right.
  private let numbers: Set<Int>

  init(_ header: [String]? = nil, numbers: Set<Int> = []) {
    self.header = header
    self.numbers = numbers
  }

  var isEmpty: Bool { rows.isEmpty }

  mutating func add(_ cells: String...) { rows.append(cells) }
  mutating func add(_ cells: [String]) { rows.append(cells) }

  /// - Parameter wrapsLast: false for columns that others will read by program
  func text(width: Int = Console.width, wrapsLast: Bool = true) -> String {
    let all = (header.map { [$0] } ?? []) + rows
    let count = all.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in all.map { $0.count > column ? Self.width($0[column]) : 0 }.max() ?? 0 }
    let indent = widths.dropLast().reduce(0) { $0 + $1 + 2 }
    var lines: [String] = []
    for (index, row) in all.enumerated() {
      var line = ""
      for column in 0..<count {
        let cell = column < row.count ? row[column] : ""
        if column == count - 1, wrapsLast, indent + Self.width(cell) > width, width - indent >= 24 {
          line += Self.wrapped(cell, width: width - indent).joined(
            separator: "\n" + String(repeating: " ", count: indent))
        } else {
          let fill = String(repeating: " ", count: max(0, widths[column] - Self.width(cell)))
          line += numbers.contains(column) ? fill + cell : cell + fill
        }
        if column < count - 1 { line += "  " }
      }
      while line.last == " " { line.removeLast() }
      lines.append(index == 0 && header != nil ? Style.bold(line) : line)
    }
    return lines.joined(separator: "\n")
  }

  /// The characters that a cell shows: the escapes of ``Style`` take no room.
  private static func width(_ cell: String) -> Int {
    var width = 0
    var isEscape = false
    for character in cell {
      if character == "\u{1B}" {
        isEscape = true
      } else if isEscape {
        isEscape = character != "m"
      } else {
        width += 1
      }
    }
    return width
  }

  /// Words in lines of at most `width` characters, longer words on lines of their own.
  static func wrapped(_ text: String, width: Int) -> [String] {
    var lines: [String] = []
    for word in text.split(separator: " ") {
      if let last = lines.last, last.count + 1 + word.count <= width {
        lines[lines.count - 1] = last + " " + word
      } else {
        lines.append(String(word))
      }
    }
    return lines
  }
}
