public import Diffusion

/// Draws shapes onto pixels with smooth edges. A pixel is covered by how far its centre lies inside the shape's edge,
/// which for lines, discs and convex polygons is a distance with a formula.
public struct Raster {
  /// The drawing on white paper, each unit `scale` pixels wide.
  public static func image(of drawing: Drawing, scale: Double = 2) -> RGBImage {
    var raster = Raster(
      width: Int((drawing.width * scale).rounded(.up)), height: Int((drawing.height * scale).rounded(.up)))
    for shape in drawing.shapes { raster.draw(shape, scale: scale) }
    return RGBImage(width: raster.width, height: raster.height, pixels: raster.pixels)
  }

  private let width: Int
  private let height: Int
  private var pixels: [UInt8]

  private init(width: Int, height: Int) {
    self.width = width
    self.height = height
    pixels = [UInt8](repeating: 255, count: 3 * width * height)
  }

  private mutating func draw(_ shape: Drawing.Shape, scale: Double) {
    switch shape {
    case .line(let points, let lineWidth, let colour, let dash):
      for piece in dashed(points.map { $0 * scale }, pattern: dash.map { $0 * scale }) {
        stroke([piece], width: lineWidth * scale, colour)
      }
    case .disc(let centre, let radius, let fill, let rim, let rimWidth):
      if rimWidth > 0 { fillDisc(centre * scale, (radius + rimWidth / 2) * scale, rim) }
      fillDisc(centre * scale, (radius - rimWidth / 2) * scale, fill)
    case .polygon(let points, let fill, let rim, let rimWidth):
      let corners = points.map { $0 * scale }
      fillConvex(corners, fill)
      if rimWidth > 0, let first = corners.first { stroke([corners + [first]], width: rimWidth * scale, rim) }
    case .text(let text, let at, let size, let colour, let anchor, let weight, let turned, let halo):
      let strokes = StrokeFont.strokes(of: text, size: size * scale, anchor: anchor).map { line in
        line.map { point in at * scale + (turned ? Point(point.y, -point.x) : point) }
      }
      let pen = StrokeFont.penWidth(size: size * scale, weight: weight)
      if halo { stroke(strokes, width: pen + 3 * scale, .white) }
      stroke(strokes, width: pen, colour)
    case .picture(let picture, let at, let pixelSize):
      paste(picture, at: at * scale, pixelSize: pixelSize * scale)
    }
  }

  /// Strokes several lines as one shape: where they cross, they are not painted twice.
  private mutating func stroke(_ lines: [[Point]], width pen: Double, _ colour: Colour) {
    let points = lines.flatMap(\.self)
    let reach = pen / 2 + 1
    guard let box = box(around: points, reach: reach) else { return }
    var coverage = [Float](repeating: 0, count: box.columns.count * box.rows.count)
    for line in lines {
      for index in line.indices.dropLast(line.count > 1 ? 1 : 0) {
        let from = line[index]
        let along = line[min(index + 1, line.count - 1)] - from
        let squared = along.x * along.x + along.y * along.y
        guard let part = self.box(around: [from, from + along], reach: reach) else { continue }
        for y in part.rows {
          for x in part.columns {
            let offset = Point(Double(x) + 0.5, Double(y) + 0.5) - from
            let place = squared > 0 ? min(1, max(0, (offset.x * along.x + offset.y * along.y) / squared)) : 0
            let distance = (offset - along * place).length
            // A line thinner than a pixel covers at most its width of it.
            let cover = Float(min(1, pen) * min(1, max(0, max(pen, 1) / 2 - distance + 0.5)))
            let cell = (y - box.rows.lowerBound) * box.columns.count + x - box.columns.lowerBound
            coverage[cell] = max(coverage[cell], cover)
          }
        }
      }
    }
    for (row, y) in box.rows.enumerated() {
      for (column, x) in box.columns.enumerated() {
        blend(colour, x, y, coverage: Double(coverage[row * box.columns.count + column]))
      }
    }
  }

  private mutating func fillDisc(_ centre: Point, _ radius: Double, _ colour: Colour) {
    guard radius > 0, let box = box(around: [centre], reach: radius + 1) else { return }
    for y in box.rows {
      for x in box.columns {
        let distance = (Point(Double(x) + 0.5, Double(y) + 0.5) - centre).length
        blend(colour, x, y, coverage: radius - distance + 0.5)
      }
    }
  }

  private mutating func fillConvex(_ corners: [Point], _ colour: Colour) {
    guard corners.count > 2, let box = box(around: corners, reach: 1) else { return }
    let centroid = corners.reduce(Point(0, 0), +) * (1 / Double(corners.count))
    var edges: [(normal: Point, offset: Double)] = []
    for (index, corner) in corners.enumerated() {
      let along = corners[(index + 1) % corners.count] - corner
      guard along.length > 0 else { continue }
      var normal = Point(along.y, -along.x) * (1 / along.length)
      // The normal looks outwards whichever way round the corners were listed.
      if (centroid - corner).x * normal.x + (centroid - corner).y * normal.y > 0 { normal = normal * -1 }
      edges.append((normal, corner.x * normal.x + corner.y * normal.y))
    }
    for y in box.rows {
      for x in box.columns {
        let point = Point(Double(x) + 0.5, Double(y) + 0.5)
        let outside = edges.map { point.x * $0.normal.x + point.y * $0.normal.y - $0.offset }.max() ?? 1
        blend(colour, x, y, coverage: 0.5 - outside)
      }
    }
  }

  private mutating func paste(_ picture: RGBImage, at corner: Point, pixelSize: Double) {
    let left = Int(corner.x.rounded())
    let top = Int(corner.y.rounded())
    let columns = Int((Double(picture.width) * pixelSize).rounded())
    let rows = Int((Double(picture.height) * pixelSize).rounded())
    for row in max(0, -top)..<max(max(0, -top), min(rows, height - top)) {
      let sourceRow = min(picture.height - 1, Int((Double(row) + 0.5) / pixelSize))
      for column in max(0, -left)..<max(max(0, -left), min(columns, width - left)) {
        let sourceColumn = min(picture.width - 1, Int((Double(column) + 0.5) / pixelSize))
        let source = 3 * (sourceRow * picture.width + sourceColumn)
        let target = 3 * ((top + row) * width + left + column)
        for channel in 0..<3 { pixels[target + channel] = picture.pixels[source + channel] }
      }
    }
  }

  private mutating func blend(_ colour: Colour, _ x: Int, _ y: Int, coverage: Double) {
    guard coverage > 0 else { return }
    let cover = min(1, coverage)
    let at = 3 * (y * width + x)
    pixels[at] = mix(pixels[at], colour.red, cover)
    pixels[at + 1] = mix(pixels[at + 1], colour.green, cover)
    pixels[at + 2] = mix(pixels[at + 2], colour.blue, cover)
  }

  private func mix(_ under: UInt8, _ over: UInt8, _ cover: Double) -> UInt8 {
    UInt8((Double(under) + (Double(over) - Double(under)) * cover).rounded())
  }

  /// The pixels within `reach` of the points, clipped to the paper; `nil` if there are none.
  private func box(around points: [Point], reach: Double) -> (columns: Range<Int>, rows: Range<Int>)? {
    guard let first = points.first else { return nil }
    var low = first
    var high = first
    for point in points {
      low = Point(min(low.x, point.x), min(low.y, point.y))
      high = Point(max(high.x, point.x), max(high.y, point.y))
    }
    guard low.x.isFinite, low.y.isFinite, high.x.isFinite, high.y.isFinite else { return nil }
    func range(_ from: Double, _ to: Double, _ size: Int) -> Range<Int>? {
      let start = Int(min(Double(size), max(0, (from - reach).rounded(.down))))
      let end = Int(min(Double(size), max(0, (to + reach).rounded(.up))))
      return start < end ? start..<end : nil
    }
    guard let columns = range(low.x, high.x, width), let rows = range(low.y, high.y, height) else { return nil }
    return (columns, rows)
  }
}

/// Cuts a line into the drawn pieces of a dash pattern; without a pattern, the whole line.
private func dashed(_ points: [Point], pattern: [Double]) -> [[Point]] {
  guard !pattern.isEmpty, pattern.allSatisfy({ $0 > 0 }), points.count > 1 else { return [points] }
  var pieces: [[Point]] = []
  var piece = [points[0]]
  var slot = 0
  var left = pattern[0]
  for (from, to) in zip(points, points.dropFirst()) {
    let length = (to - from).length
    var done = 0.0
    while length - done > left {
      done += left
      let cut = from + (to - from) * (done / length)
      if slot % 2 == 0 { pieces.append(piece + [cut]) }
      piece = [cut]
      slot += 1
      left = pattern[slot % pattern.count]
    }
    left -= length - done
    piece.append(to)
  }
  if slot % 2 == 0 { pieces.append(piece) }
  return pieces
}
