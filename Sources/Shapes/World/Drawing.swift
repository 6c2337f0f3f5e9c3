public import Diffusion

/// The width and height of every picture of the world, in pixels.
public let shapesImageSize = 32

extension Scene {
  /// The picture of this scene, 32 x 32, from two by two samples of signed distances in each pixel.
  public func drawn() -> RGBImage {
    var painter = Painter(self)
    return RGBImage(width: shapesImageSize, height: shapesImageSize, pixels: painter.paint())
  }
}

private typealias Colour = SIMD3<Float>

/// One scene's geometry and colours, worked out once before its pixels are filled.
private struct Painter {
  private let scene: Scene
  private let centre: SIMD2<Float>
  private let radius: Float
  private let sine: Float
  private let cosine: Float
  private let ink: Colour
  private let background: Colour
  /// The second colour of the style: dark stripes, white dots, pale squares or the contour.
  private let accent: Colour
  private let dotRadius: Float
  private let contourWidth: Float
  private let blot: [(x: Float, y: Float, radius: Float)]

  init(_ scene: Scene) {
    self.scene = scene
    let middle = Float(shapesImageSize) / 2
    centre = SIMD2(middle + scene.offset.x, middle + scene.offset.y)
    radius = 9.5 + 3 * scene.size
    // Two terms of the series are exact to 1e-9 at these angles, and the same on every machine, unlike libm's.
    let angle = scene.tilt
    sine = angle - angle * angle * angle / 6 + angle * angle * angle * angle * angle / 120
    cosine = 1 - angle * angle / 2 + angle * angle * angle * angle / 24

    background = clamped(scene.attributes.background.paint + scene.backgroundJitter)
    let shaded =
      scene.shade < 0
      ? scene.attributes.colour.paint * (1 + 0.2 * scene.shade)
      : scene.attributes.colour.paint * (1 - 0.17 * scene.shade) + Colour(repeating: 255) * (0.17 * scene.shade)
    let full = clamped(shaded + scene.colourJitter)
    let bold = (scene.boldness + 1) / 2
    dotRadius = 1.2 + 0.3 * bold
    contourWidth = 1.6 + 0.6 * bold
    switch scene.attributes.style {
    case .plain:
      ink = full * (0.85 + 0.15 * bold) + background * (0.15 - 0.15 * bold)
      accent = ink
    case .striped:
      ink = full
      accent = full * (0.34 - 0.24 * bold)
    case .dotted:
      ink = full
      accent = Colour(repeating: 255)
    case .checkered:
      ink = full
      let colourLeft = 0.32 - 0.2 * bold
      accent = full * colourLeft + Colour(repeating: 255) * (1 - colourLeft)
    case .outlined:
      ink = full
      accent = scene.attributes.background == .black ? Colour(repeating: 255) : Colour(repeating: 0)
    }
    if scene.attributes.marked {
      let discRadius = 3.4 + 1.2 * scene.markSize
      let x = centre.x + 0.52 * radius
      let y = centre.y + 0.52 * radius
      let shape = scene.markShape
      blot = [
        (x + shape[0], y + shape[1], discRadius), (x + shape[2], y + shape[3], discRadius),
        (x + shape[4], y + shape[5], discRadius),
      ]
    } else {
      blot = []
    }
  }

  mutating func paint() -> [UInt8] {
    let side = shapesImageSize
    return [UInt8](unsafeUninitializedCapacity: 3 * side * side) { buffer, count in
      for row in 0..<side {
        for column in 0..<side {
          let colour = pixel(column, row) + Colour(repeating: 0.5)
          let at = 3 * (row * side + column)
          for channel in 0..<3 { buffer[at + channel] = UInt8(min(max(colour[channel], 0), 255)) }
        }
      }
      count = 3 * side * side
    }
  }

  private func pixel(_ column: Int, _ row: Int) -> Colour {
    var colour = background
    // No sample of a pixel whose centre is this far outside can be inside.
    if distance(Float(column) + 0.5, Float(row) + 0.5) < 1.2 {
      colour = .zero
      for sample in 0..<4 {
        let x = Float(column) + (sample & 1 == 0 ? 0.25 : 0.75)
        let y = Float(row) + (sample & 2 == 0 ? 0.25 : 0.75)
        let depth = distance(x, y)
        let cover = coverage(depth)
        colour += background * (1 - cover) + texture(x, y, column, row, depth) * cover
      }
      colour *= 0.25
    }
    return scene.attributes.marked ? marked(colour, column, row) : colour
  }

  private func distance(_ x: Float, _ y: Float) -> Float {
    let px = (x - centre.x) / radius
    let py = (y - centre.y) / radius
    return radius * Outline.distance(scene.attributes.object, px * cosine + py * sine, py * cosine - px * sine)
  }

  /// How much of a half-pixel sample lies inside an edge at signed distance `depth`.
  private func coverage(_ depth: Float) -> Float { min(max(0.5 - 2 * depth, 0), 1) }

  /// The object's colour at a sample. Textures hang on the picture's own grid, with periods of 4 and 8 pixels: an
  /// autoencoder that reduces by four sees the same texture in every cell.
  private func texture(_ x: Float, _ y: Float, _ column: Int, _ row: Int, _ depth: Float) -> Colour {
    switch scene.attributes.style {
    case .plain: return ink
    case .striped: return row & 2 == 0 ? ink : accent
    case .checkered: return (column / 4 + row / 4) & 1 == 0 ? ink : accent
    case .dotted:
      let dx = x - Float(column / 4 * 4) - 2
      let dy = y - Float(row / 4 * 4) - 2
      let cover = coverage((dx * dx + dy * dy).squareRoot() - dotRadius)
      return accent * cover + ink * (1 - cover)
    case .outlined:
      let cover = coverage(-contourWidth - depth)
      return accent * cover + ink * (1 - cover)
    }
  }

  private func marked(_ colour: Colour, _ column: Int, _ row: Int) -> Colour {
    var total: Float = 0
    for sample in 0..<4 {
      let x = Float(column) + (sample & 1 == 0 ? 0.25 : 0.75)
      let y = Float(row) + (sample & 2 == 0 ? 0.25 : 0.75)
      var nearest = Float.greatestFiniteMagnitude
      for disc in blot {
        let dx = x - disc.x
        let dy = y - disc.y
        nearest = min(nearest, (dx * dx + dy * dy).squareRoot() - disc.radius)
      }
      total += coverage(nearest)
    }
    let cover = total / 4
    return colour * (1 - cover) + Colour(255, 20, 150) * cover
  }
}

private func clamped(_ colour: Colour) -> Colour {
  colour.clamped(lowerBound: .zero, upperBound: Colour(repeating: 255))
}

extension ShapeColour {
  /// Red, green, blue from 0 to 255, before shade and jitter.
  fileprivate var paint: Colour {
    switch self {
    case .red: Colour(215, 35, 40)
    case .green: Colour(40, 165, 65)
    case .blue: Colour(45, 80, 220)
    case .yellow: Colour(245, 215, 45)
    case .purple: Colour(135, 55, 190)
    case .orange: Colour(245, 130, 25)
    }
  }
}

extension ShapeBackground {
  fileprivate var paint: Colour {
    switch self {
    case .white: Colour(247, 247, 247)
    case .black: Colour(10, 10, 10)
    case .gray: Colour(128, 128, 128)
    case .beige: Colour(226, 206, 168)
    }
  }
}
