/// The outlines of the ten objects as signed distances (negative inside), in coordinates where the object's radius
/// is 1, x points right and y down. Only additions, products and square roots, which IEEE 754 rounds exactly, so a
/// picture has the same bytes on every machine.
enum Outline {
  static func distance(_ object: ShapeObject, _ x: Float, _ y: Float) -> Float {
    switch object {
    case .circle: disc(x, y, 0.95)
    case .square: box(x, y, 0.83, 0.83)
    case .triangle: polygon(triangle, x, y)
    case .star: polygon(star, x, y)
    case .cross: min(box(x, y, 0.97, 0.34), box(x, y, 0.34, 0.97))
    case .ring: (disc(x, y, 0.66)).magnitude - 0.30
    case .heart: heart(x, y)
    case .crescent: max(disc(x, y, 0.98), -disc(x - 0.44, y + 0.12, 0.72))
    case .diamond: polygon(diamond, x, y)
    case .arrow: polygon(arrow, x, y)
    }
  }

  private static func disc(_ x: Float, _ y: Float, _ radius: Float) -> Float {
    (x * x + y * y).squareRoot() - radius
  }

  private static func box(_ x: Float, _ y: Float, _ halfWidth: Float, _ halfHeight: Float) -> Float {
    let dx = x.magnitude - halfWidth
    let dy = y.magnitude - halfHeight
    let outsideX = max(dx, 0)
    let outsideY = max(dy, 0)
    return (outsideX * outsideX + outsideY * outsideY).squareRoot() + min(max(dx, dy), 0)
  }

  /// Two discs over a pointed body; symmetric, so only the right half is looked at.
  private static func heart(_ x: Float, _ y: Float) -> Float {
    let right = x.magnitude
    return min(disc(right - 0.46, y + 0.34, 0.52), polygon(heartBody, right, y))
  }

  private static let triangle = Polygon([(0, -1.02), (0.98, 0.76), (-0.98, 0.76)])
  private static let diamond = Polygon([(0, -1.08), (0.82, 0), (0, 1.08), (-0.82, 0)])
  private static let arrow = Polygon([
    (1.06, 0), (0.12, 0.86), (0.12, 0.30), (-1.0, 0.30), (-1.0, -0.30), (0.12, -0.30), (0.12, -0.86),
  ])
  private static let heartBody = Polygon([(-0.88, -0.04), (-0.46, -0.40), (0.46, -0.40), (0.88, -0.04), (0, 0.98)])
  // Five points at radius 1.08, five notches at 0.46: multiples of 36 degrees, written out.
  private static let star = Polygon([
    (0, -1.08), (0.27038, -0.37215), (1.02714, -0.33374), (0.43749, 0.14215), (0.63481, 0.87374), (0, 0.46),
    (-0.63481, 0.87374), (-0.43749, 0.14215), (-1.02714, -0.33374), (-0.27038, -0.37215),
  ])

  /// The distance to the nearest edge, its sign from the number of edges that a ray to the right crosses.
  private static func polygon(_ shape: Polygon, _ x: Float, _ y: Float) -> Float {
    var nearest = Float.greatestFiniteMagnitude
    var inside = false
    shape.edges.withUnsafeBufferPointer { edges in
      for edge in edges {
        let px = x - edge.x
        let py = y - edge.y
        let along = min(max((px * edge.dx + py * edge.dy) * edge.inverseSquaredLength, 0), 1)
        let ox = px - along * edge.dx
        let oy = py - along * edge.dy
        nearest = min(nearest, ox * ox + oy * oy)
        if (py < 0) != (py < edge.dy), px * edge.dy < py * edge.dx ? edge.dy > 0 : edge.dy < 0 { inside.toggle() }
      }
    }
    return inside ? -nearest.squareRoot() : nearest.squareRoot()
  }
}

/// A closed polygon, kept as its edges with what every distance needs of them.
private struct Polygon: Sendable {
  struct Edge: Sendable {
    var x: Float
    var y: Float
    var dx: Float
    var dy: Float
    var inverseSquaredLength: Float
  }

  let edges: [Edge]

  init(_ corners: [(Float, Float)]) {
    edges = corners.indices.map { index in
      let (x, y) = corners[index]
      let next = corners[(index + 1) % corners.count]
      let dx = next.0 - x
      let dy = next.1 - y
      return Edge(x: x, y: y, dx: dx, dy: dy, inverseSquaredLength: 1 / (dx * dx + dy * dy))
    }
  }
}
