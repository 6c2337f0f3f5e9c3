internal import Foundation

/// A sans-serif face drawn with a pen of one width, so that a figure needs no font file and looks the same everywhere.
///
/// Letters are paths on an em of 20 units, y upwards from the baseline, capitals 14 high. Their advance widths are
/// those of Helvetica, so that a layout made for the rasteriser also holds in an SVG file, where a browser draws the
/// text.
public enum StrokeFont {
  /// The width of a line of text at a font size, in the unit of the size.
  public static func width(of text: String, size: Double) -> Double {
    text.unicodeScalars.reduce(0) { $0 + glyph($1).advance } * size / em
  }

  /// How wide the pen is at a font size.
  static func penWidth(size: Double, weight: Drawing.Weight) -> Double {
    size * (weight == .bold ? 0.125 : 0.082)
  }

  /// The pen's lines for a text whose anchor is at the origin, y downwards.
  static func strokes(of text: String, size: Double, anchor: Drawing.Anchor) -> [[Point]] {
    let scale = size / em
    var x = 0.0
    switch anchor {
    case .start: break
    case .middle: x = -width(of: text, size: size) / 2
    case .end: x = -width(of: text, size: size)
    }
    var lines: [[Point]] = []
    for scalar in text.unicodeScalars {
      let glyph = glyph(scalar)
      for line in glyph.lines { lines.append(line.map { Point(x + $0.x * scale, -$0.y * scale) }) }
      x += glyph.advance * scale
    }
    return lines
  }

  private static let em = 20.0

  private struct Glyph {
    var advance: Double
    var lines: [[Point]]
  }

  /// A letter that the face does not have is drawn as an empty box.
  private static func glyph(_ scalar: Unicode.Scalar) -> Glyph { glyphs[scalar] ?? missing }

  private static let missing = Glyph(advance: 11.12, lines: path("M1.8 0 L9.3 0 L9.3 14 L1.8 14 L1.8 0"))

  private static let glyphs: [Unicode.Scalar: Glyph] = {
    var glyphs: [Unicode.Scalar: Glyph] = [:]
    for (name, advance, description) in StrokeFontGlyphs.all {
      for scalar in name.unicodeScalars { glyphs[scalar] = Glyph(advance: advance, lines: path(description)) }
    }
    return glyphs
  }()

  /// Reads a path: `M x y` lifts the pen, `L x y` draws to a point, `Q` and `C` are Bézier curves as in SVG, and
  /// `A cx cy rx ry from to` draws an arc of an ellipse between two angles in degrees (going on from where the pen is,
  /// if it is there already). Each letter stands directly before its first number.
  private static func path(_ description: String) -> [[Point]] {
    var lines: [[Point]] = []
    func go(to point: Point) {
      if lines.isEmpty { lines.append([]) }
      lines[lines.count - 1].append(point)
    }
    var numbers: [Double] = []
    var command: Character = "M"
    func finish() {
      let n = numbers
      switch (command, n.count) {
      case ("M", 2): lines.append([Point(n[0], n[1])])
      case ("L", 2): go(to: Point(n[0], n[1]))
      case ("Q", 4), ("C", 6):
        guard let start = lines.last?.last else { return }
        let a = Point(n[0], n[1])
        let last = Point(n[n.count - 2], n[n.count - 1])
        let b = n.count == 6 ? Point(n[2], n[3]) : last
        for step in 1...12 {
          let t = Double(step) / 12
          let s = 1 - t
          go(
            to: n.count == 6
              ? start * (s * s * s) + a * (3 * s * s * t) + b * (3 * s * t * t) + last * (t * t * t)
              : start * (s * s) + a * (2 * s * t) + last * (t * t))
        }
      case ("A", 6):
        let steps = max(2, Int((abs(n[5] - n[4]) / 9).rounded(.up)))
        for step in 0...steps {
          let angle = (n[4] + (n[5] - n[4]) * Double(step) / Double(steps)) * .pi / 180
          let point = Point(n[0] + n[2] * cos(angle), n[1] + n[3] * sin(angle))
          if step == 0 {
            if let pen = lines.last?.last, (pen - point).length < 0.6 { continue }
            lines.append([point])
          } else {
            go(to: point)
          }
        }
      default: break
      }
    }
    for word in description.split(separator: " ") {
      if let first = word.first, first.isLetter {
        finish()
        command = first
        numbers = Double(word.dropFirst()).map { [$0] } ?? []
      } else if let number = Double(word) {
        numbers.append(number)
      }
    }
    finish()
    return lines
  }
}
