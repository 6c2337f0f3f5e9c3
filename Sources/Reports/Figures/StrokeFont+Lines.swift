extension StrokeFont {
  /// Text broken at spaces into lines that fit; what does not fit into the last allowed line ends in an ellipsis.
  static func wrapped(_ text: String, width: Double, size: Double, maximum: Int) -> [String] {
    var lines: [String] = []
    var words = text.split(separator: " ").map(String.init)[...]
    while let first = words.popFirst() {
      var line = first
      while let next = words.first, self.width(of: line + " " + next, size: size) <= width {
        line += " " + next
        words = words.dropFirst()
      }
      if lines.count == maximum - 1, !words.isEmpty {
        line += " " + words.joined(separator: " ")
        words = []
      }
      lines.append(shortened(line, width: width, size: size))
    }
    return lines
  }

  /// Text that fits, cut and ended by an ellipsis if it has to be.
  static func shortened(_ text: String, width: Double, size: Double) -> String {
    guard self.width(of: text, size: size) > width else { return text }
    var kept = text[...]
    while !kept.isEmpty, self.width(of: kept + "…", size: size) > width { kept = kept.dropLast() }
    while kept.last == " " { kept = kept.dropLast() }
    return kept + "…"
  }
}
