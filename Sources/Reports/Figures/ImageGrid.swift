public import Diffusion

/// A sheet of pictures: a row for each technique, a column for each prompt, all of a column drawn from the same noise.
public struct ImageGrid: Equatable, Sendable {
  public struct Row: Equatable, Sendable {
    public var label: String
    /// One picture for each column; `nil` where a run has none.
    public var pictures: [RGBImage?]

    public init(label: String, pictures: [RGBImage?]) {
      self.label = label
      self.pictures = pictures
    }
  }

  public var title: String
  /// The prompts, one for each column.
  public var columns: [String]
  public var rows: [Row]
  /// How many units of the sheet show one pixel of a picture, in each direction; a unit is two pixels of the sheet.
  public var scale: Int

  public init(title: String, columns: [String], rows: [Row], scale: Int = 3) {
    self.title = title
    self.columns = columns
    self.rows = rows
    self.scale = scale
  }

  /// The scale that shows pictures of this width about 96 units wide.
  public static func scale(forWidth width: Int) -> Int { max(1, Int((96 / Double(max(1, width))).rounded())) }

  /// The sheet with its headings and labels.
  public func drawing() -> Drawing {
    let pictures = rows.flatMap(\.pictures).compactMap(\.self)
    let cellWidth = Double((pictures.map(\.width).max() ?? 32) * scale)
    let cellHeight = Double((pictures.map(\.height).max() ?? 32) * scale)
    let gap = 6.0
    let margin = 16.0
    let size = 13.0
    let headingSize = 11.5
    let lineHeight = 16.0

    let labels = rows.map { StrokeFont.wrapped($0.label, width: 190, size: size, maximum: 4) }
    let labelWidth = labels.joined().map { StrokeFont.width(of: $0, size: size) }.max() ?? 0
    let headings = columns.map { StrokeFont.wrapped($0, width: cellWidth, size: headingSize, maximum: 5) }
    let headingHeight = 14.0
    let headingsHeight = Double(headings.map(\.count).max() ?? 0) * headingHeight
    let titleHeight = title.isEmpty ? 0 : 30.0

    let left = margin + labelWidth + 12
    let top = margin + titleHeight + headingsHeight + 4
    let width = left + Double(columns.count) * (cellWidth + gap) - gap + margin
    let titleWidth = 2 * margin + StrokeFont.width(of: title, size: 16)
    var drawing = Drawing(
      width: max(width, titleWidth).rounded(.up),
      height: (top + Double(rows.count) * (cellHeight + gap) - gap + margin).rounded(.up))

    if !title.isEmpty {
      drawing.shapes.append(.text(title, at: Point(margin, margin + 15), size: 16, .ink, weight: .bold))
    }
    for (column, heading) in headings.enumerated() {
      let x = (left + Double(column) * (cellWidth + gap)).rounded()
      for (line, text) in heading.enumerated() {
        // Headings end on one line above the pictures, whatever number of lines each has.
        let y = top - 9 - Double(heading.count - 1 - line) * headingHeight
        drawing.shapes.append(
          .text(text, at: Point(x + cellWidth / 2, y), size: headingSize, .softInk, anchor: .middle))
      }
    }
    for (index, row) in rows.enumerated() {
      let y = (top + Double(index) * (cellHeight + gap)).rounded()
      let middle = y + cellHeight / 2 + size * 0.35
      for (line, text) in labels[index].enumerated() {
        let offset = (Double(line) - Double(labels[index].count - 1) / 2) * lineHeight
        drawing.shapes.append(.text(text, at: Point(left - 12, middle + offset), size: size, .ink, anchor: .end))
      }
      for column in columns.indices {
        let corner = Point((left + Double(column) * (cellWidth + gap)).rounded(), y)
        if let picture = row.pictures.indices.contains(column) ? row.pictures[column] : nil {
          drawing.shapes.append(.picture(picture, at: corner, scale: Double(scale)))
        } else {
          Self.drawAbsence(at: corner, width: cellWidth, height: cellHeight, on: &drawing)
        }
      }
    }
    return drawing
  }

  /// The sheet's pixels.
  public func image() -> RGBImage { Raster.image(of: drawing(), scale: 2) }

  private static func drawAbsence(at corner: Point, width: Double, height: Double, on drawing: inout Drawing) {
    let inset = 0.5
    let a = corner + Point(inset, inset)
    let b = corner + Point(width - inset, height - inset)
    drawing.shapes.append(
      .line([a, Point(b.x, a.y), b, Point(a.x, b.y), a], width: 1, .hairline))
    drawing.shapes.append(
      .text(
        "no image", at: corner + Point(width / 2, height / 2 + 4), size: 12, Colour(0xA9AEB5), anchor: .middle))
  }
}
