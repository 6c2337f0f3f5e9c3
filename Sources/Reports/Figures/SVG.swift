public import Diffusion
internal import Foundation

/// Writes a drawing as a standalone SVG file. Text stays text, so that it can be searched, copied and restyled.
public enum SVG {
  /// - Parameter title: what a screen reader says and a browser shows for the whole figure.
  public static func document(_ drawing: Drawing, title: String) throws(ImageFileError) -> String {
    let width = number(drawing.width)
    let height = number(drawing.height)
    var lines = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(width)\" height=\"\(height)\" "
        + "viewBox=\"0 0 \(width) \(height)\" role=\"img\" "
        + "font-family=\"Helvetica, Arial, 'Liberation Sans', sans-serif\">",
      "<title>\(escaped(title))</title>",
      "<rect width=\"\(width)\" height=\"\(height)\" fill=\"#ffffff\"/>",
    ]
    for shape in drawing.shapes { lines.append(try element(shape)) }
    lines.append("</svg>")
    return lines.joined(separator: "\n") + "\n"
  }

  private static func element(_ shape: Drawing.Shape) throws(ImageFileError) -> String {
    switch shape {
    case .line(let points, let width, let colour, let dash):
      let dashes = dash.isEmpty ? "" : " stroke-dasharray=\"\(dash.map(number).joined(separator: " "))\""
      return "<polyline points=\"\(list(points))\" fill=\"none\" stroke=\"\(hex(colour))\" "
        + "stroke-width=\"\(number(width))\" stroke-linecap=\"round\" stroke-linejoin=\"round\"\(dashes)/>"
    case .disc(let centre, let radius, let fill, let rim, let rimWidth):
      return "<circle cx=\"\(number(centre.x))\" cy=\"\(number(centre.y))\" r=\"\(number(radius))\" "
        + "fill=\"\(hex(fill))\"\(stroke(rim, rimWidth))/>"
    case .polygon(let points, let fill, let rim, let rimWidth):
      return "<polygon points=\"\(list(points))\" fill=\"\(hex(fill))\"\(stroke(rim, rimWidth))/>"
    case .text(let text, let at, let size, let colour, let anchor, let weight, let turned, let halo):
      var attributes =
        "x=\"\(number(at.x))\" y=\"\(number(at.y))\" font-size=\"\(number(size))\" fill=\"\(hex(colour))\""
      if anchor != .start { attributes += " text-anchor=\"\(anchor.rawValue)\"" }
      if weight == .bold { attributes += " font-weight=\"bold\"" }
      if turned { attributes += " transform=\"rotate(-90 \(number(at.x)) \(number(at.y)))\"" }
      if halo {
        attributes += " paint-order=\"stroke\" stroke=\"#ffffff\" stroke-width=\"3\" stroke-linejoin=\"round\""
      }
      return "<text \(attributes)>\(escaped(text))</text>"
    case .picture(let picture, let at, let scale):
      let encoded = Data(try PNG.encode(picture)).base64EncodedString()
      return "<image x=\"\(number(at.x))\" y=\"\(number(at.y))\" width=\"\(number(Double(picture.width) * scale))\" "
        + "height=\"\(number(Double(picture.height) * scale))\" style=\"image-rendering:pixelated\" "
        + "href=\"data:image/png;base64,\(encoded)\"/>"
    }
  }

  private static func stroke(_ rim: Colour, _ width: Double) -> String {
    width > 0 ? " stroke=\"\(hex(rim))\" stroke-width=\"\(number(width))\"" : ""
  }

  private static func list(_ points: [Point]) -> String {
    points.map { "\(number($0.x)),\(number($0.y))" }.joined(separator: " ")
  }

  /// Two digits after the point are a hundredth of a pixel; trailing zeros go.
  static func number(_ value: Double) -> String {
    var text = fixed(value, digits: 2)
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }

  private static func hex(_ colour: Colour) -> String {
    let value = UInt32(colour.red) << 16 | UInt32(colour.green) << 8 | UInt32(colour.blue)
    let digits = String(value, radix: 16)
    return "#" + String(repeating: "0", count: 6 - digits.count) + digits
  }

  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\t", "\n", "\r": result += " "
      // No other control character may stand in an XML document, not even escaped.
      case "\u{0}"..."\u{1F}", "\u{FFFE}", "\u{FFFF}": result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
