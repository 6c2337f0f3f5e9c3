/// The number of columns a terminal or an aligned text file gives to a string: none for combining marks, two for the
/// wide characters of East Asian scripts and for emoji.
func displayWidth(_ text: String) -> Int {
  text.unicodeScalars.reduce(0) { $0 + width(of: $1) }
}

/// `text` filled up with spaces to `width` columns, on the right or, with `leading`, on the left.
func padded(_ text: String, to width: Int, leading: Bool = false) -> String {
  let fill = String(repeating: " ", count: max(0, width - displayWidth(text)))
  return leading ? fill + text : text + fill
}

private func width(of scalar: Unicode.Scalar) -> Int {
  switch scalar.properties.generalCategory {
  case .nonspacingMark, .enclosingMark, .format, .control: return 0
  default: break
  }
  switch scalar.value {
  case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
    0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
    return 2
  default: return 1
  }
}
