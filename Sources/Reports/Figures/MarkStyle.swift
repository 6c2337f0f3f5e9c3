/// The colour and form of a series: both differ, so that a figure printed in grey still tells techniques apart.
struct MarkStyle {
  enum Form: CaseIterable { case disc, square, triangle, diamond }

  var colour: Colour
  var shape: Form
}

extension MarkStyle.Form {
  /// A mark about eleven units wide with a white rim, so that marks on top of each other stay apart.
  func drawn(at centre: Point, _ colour: Colour) -> Drawing.Shape {
    func polygon(_ corners: [(Double, Double)]) -> Drawing.Shape {
      .polygon(corners.map { centre + Point($0.0, $0.1) }, fill: colour, rim: .white, rimWidth: 1.2)
    }
    return switch self {
    case .disc: .disc(centre: centre, radius: 5.2, fill: colour, rim: .white, rimWidth: 1.2)
    case .square: polygon([(-4.6, -4.6), (4.6, -4.6), (4.6, 4.6), (-4.6, 4.6)])
    case .triangle: polygon([(0, -6.2), (5.8, 4.4), (-5.8, 4.4)])
    case .diamond: polygon([(0, -6.4), (6.4, 0), (0, 6.4), (-6.4, 0)])
    }
  }
}

extension ScatterPlot {
  /// References are dark diamonds; the other series take the palette's colours and the other forms in turn.
  var styles: [MarkStyle] {
    let forms: [MarkStyle.Form] = [.disc, .square, .triangle]
    var next = 0
    return series.map { one in
      if one.isReference { return MarkStyle(colour: Colour(0x3C4043), shape: .diamond) }
      defer { next += 1 }
      return MarkStyle(colour: Colour.palette[next % Colour.palette.count], shape: forms[next % forms.count])
    }
  }
}

extension Colour {
  /// Mixed with white: 0 leaves the colour, 1 gives white.
  func lightened(_ part: Double) -> Colour { mixed(with: .white, part) }

  /// Mixed with black: 0 leaves the colour, 1 gives black.
  func darkened(_ part: Double) -> Colour { mixed(with: Colour(0x000000), part) }

  private func mixed(with other: Colour, _ part: Double) -> Colour {
    func mix(_ a: UInt8, _ b: UInt8) -> UInt8 { UInt8((Double(a) * (1 - part) + Double(b) * part).rounded()) }
    var colour = self
    colour.red = mix(red, other.red)
    colour.green = mix(green, other.green)
    colour.blue = mix(blue, other.blue)
    return colour
  }
}
