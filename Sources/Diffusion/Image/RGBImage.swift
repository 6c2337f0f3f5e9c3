/// An 8-bit colour picture: `height` rows of `width` red-green-blue triples, top row first.
public struct RGBImage: Equatable, Sendable {
  public let width: Int
  public let height: Int
  /// `3 * width * height` bytes, row-major.
  public private(set) var pixels: [UInt8]

  /// The picture with these pixels; their number must be `3 * width * height`.
  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(pixels.count == 3 * width * height, "an RGB image has three bytes for each pixel")
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// A picture of one colour.
  public init(width: Int, height: Int, filledWith colour: (UInt8, UInt8, UInt8) = (255, 255, 255)) {
    var pixels = [UInt8](repeating: 0, count: 3 * width * height)
    for index in 0..<(width * height) {
      pixels[3 * index] = colour.0
      pixels[3 * index + 1] = colour.1
      pixels[3 * index + 2] = colour.2
    }
    self.init(width: width, height: height, pixels: pixels)
  }

  /// Copies `picture` with its upper left corner at (`x`, `y`); what falls outside is left out.
  public mutating func paste(_ picture: RGBImage, x: Int, y: Int) {
    let columns = max(0, -x)..<max(max(0, -x), min(picture.width, width - x))
    for row in max(0, -y)..<max(max(0, -y), min(picture.height, height - y)) {
      let source = 3 * (row * picture.width + columns.lowerBound)
      let target = 3 * ((row + y) * width + columns.lowerBound + x)
      let count = 3 * columns.count
      pixels.replaceSubrange(target..<(target + count), with: picture.pixels[source..<(source + count)])
    }
  }

  /// The picture with each pixel repeated `factor` times in both directions.
  public func enlarged(by factor: Int) -> RGBImage {
    precondition(factor >= 1, "a picture is enlarged by a whole number of at least 1")
    var out = [UInt8]()
    out.reserveCapacity(pixels.count * factor * factor)
    for row in 0..<height {
      var line = [UInt8]()
      line.reserveCapacity(3 * width * factor)
      for column in 0..<width {
        let at = 3 * (row * width + column)
        for _ in 0..<factor { line.append(contentsOf: pixels[at..<(at + 3)]) }
      }
      for _ in 0..<factor { out.append(contentsOf: line) }
    }
    return RGBImage(width: width * factor, height: height * factor, pixels: out)
  }

  /// Pictures laid out in rows of `columns`, `gap` white pixels between and around them. All share the size of the
  /// largest; an empty list gives a picture of the gap alone.
  public static func contactSheet(_ pictures: [RGBImage], columns: Int, gap: Int = 2) -> RGBImage {
    precondition(columns >= 1 && gap >= 0, "a contact sheet has at least one column")
    let cellWidth = pictures.map(\.width).max() ?? 0
    let cellHeight = pictures.map(\.height).max() ?? 0
    let rows = (pictures.count + columns - 1) / columns
    var sheet = RGBImage(width: columns * (cellWidth + gap) + gap, height: rows * (cellHeight + gap) + gap)
    for (index, picture) in pictures.enumerated() {
      sheet.paste(
        picture, x: gap + (index % columns) * (cellWidth + gap), y: gap + (index / columns) * (cellHeight + gap))
    }
    return sheet
  }
}
