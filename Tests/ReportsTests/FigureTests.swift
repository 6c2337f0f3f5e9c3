import Diffusion
import Foundation
import Reports
import Testing

@Suite struct FigureTests {
  private func plot(_ marks: [ScatterPlot.Mark]) -> ScatterPlot {
    ScatterPlot(
      title: "Erasing circles", x: ScatterPlot.Quantity(name: "FID", better: .lower),
      y: ScatterPlot.Quantity(name: "CER", better: .higher), series: [ScatterPlot.Series(marks: marks)])
  }

  private struct Placed { var text: String, left: Double, top: Double, right: Double, bottom: Double }

  private func texts(_ drawing: Drawing, size: Double) -> [Placed] {
    drawing.shapes.compactMap { shape in
      guard case .text(let text, let at, size, _, _, _, _, let halo) = shape, halo else { return nil }
      let width = StrokeFont.width(of: text, size: size)
      return Placed(text: text, left: at.x, top: at.y - size * 0.72, right: at.x + width, bottom: at.y + size * 0.2)
    }
  }

  @Test func labelsOfACrowdDoNotOverlap() {
    let marks = (0..<9).map {
      ScatterPlot.Mark(label: "SSD, alpha = \($0)", x: 10 + 0.04 * Double($0 % 3), y: 0.9 + 0.01 * Double($0 / 3))
    } + [ScatterPlot.Mark(label: "far", x: 14, y: 0.2)]
    let labels = texts(plot(marks).drawing(), size: 12)
    #expect(labels.count == 10)
    for (index, a) in labels.enumerated() {
      for b in labels[(index + 1)...] {
        let overlap = min(a.right, b.right) - max(a.left, b.left) > 0 && min(a.bottom, b.bottom) - max(a.top, b.top) > 0
        #expect(!overlap, "\(a.text) and \(b.text)")
      }
    }
  }

  @Test func theFrontHasTheMarksThatNoOtherSurpasses() {
    let marks: [ScatterPlot.Mark] = [
      .init(label: "both", x: 20, y: 0.5), .init(label: "surpassed", x: 25, y: 0.5), .init(label: "last", x: 60, y: 1),
      .init(label: "worst", x: 80, y: 0.1), .init(label: "first", x: 10, y: 0.2),
    ]
    var plot = plot(marks)
    #expect(plot.front.map(\.label) == ["first", "both", "last"])
    // A reference does not compete, and where neither axis has a direction nobody surpasses anybody.
    plot.series.append(ScatterPlot.Series(isReference: true, marks: [.init(label: "base", x: 1, y: 1)]))
    #expect(plot.front.map(\.label) == ["first", "both", "last"])
    plot.y.better = .none
    #expect(plot.front.isEmpty)
    plot.y.better = .lower
    #expect(plot.front.map(\.label) == ["first", "worst"])
  }

  @Test func theAxisOfAWideRangeIsLogarithmicAndSaysSo() throws {
    let wide = plot([.init(label: "a", x: 5, y: 0.1), .init(label: "b", x: 400, y: 0.9)]).drawing()
    let narrow = plot([.init(label: "a", x: 5, y: 0.1), .init(label: "b", x: 9, y: 0.9)]).drawing()
    #expect(try SVG.document(wide, title: "w").contains("FID (lower is better), logarithmic"))
    #expect(try SVG.document(narrow, title: "n").contains(">FID (lower is better)<"))
  }

  @Test(arguments: [[5], [0], [-3, -3], [0, 1], [1e-9, 2e-9], [1e6, 1e6 + 1], [0.001, 500_000]] as [[Double]])
  func everyRangeOfValuesHasTicks(values: [Double]) throws {
    let drawing = plot(values.map { ScatterPlot.Mark(label: "\($0)", x: $0, y: $0) }).drawing()
    let numbers = drawing.shapes.filter { shape in
      if case .text(_, _, 12, _, .middle, _, _, _) = shape { true } else { false }
    }
    #expect(numbers.count >= 2 && numbers.count <= 10, "\(numbers.count) ticks")
  }

  @Test func ratesHaveNoTicksBelowZeroOrAboveOne() throws {
    let svg = try SVG.document(
      plot([.init(label: "a", x: 5, y: 0), .init(label: "b", x: 9, y: 1)]).drawing(), title: "t")
    #expect(svg.contains(">1.00<") && svg.contains(">0.00<"))
    #expect(!svg.contains(">1.25<") && !svg.contains(">-0.25<"))
  }

  @Test func svgOfASmallDrawing() throws {
    let drawing = Drawing(
      width: 40, height: 20,
      shapes: [
        .line([Point(1, 2), Point(3.125, 4)], width: 1.5, Colour(0x0072B2), dash: [4, 2]),
        .disc(centre: Point(10, 10), radius: 5, fill: Colour(0xD55E00), rim: .white, rimWidth: 1),
        .polygon([Point(0, 0), Point(4, 0), Point(2, 3)], fill: Colour(0x00009E)),
        .text(
          "a < b & \"c\"", at: Point(20, 12), size: 8, .ink, anchor: .middle, weight: .bold, turned: true, halo: true),
      ])
    #expect(
      try SVG.document(drawing, title: "T & t") == """
        <svg xmlns="http://www.w3.org/2000/svg" width="40" height="20" viewBox="0 0 40 20" role="img" \
        font-family="Helvetica, Arial, 'Liberation Sans', sans-serif">
        <title>T &amp; t</title>
        <rect width="40" height="20" fill="#ffffff"/>
        <polyline points="1,2 3.12,4" fill="none" stroke="#0072b2" stroke-width="1.5" stroke-linecap="round" \
        stroke-linejoin="round" stroke-dasharray="4 2"/>
        <circle cx="10" cy="10" r="5" fill="#d55e00" stroke="#ffffff" stroke-width="1"/>
        <polygon points="0,0 4,0 2,3" fill="#00009e"/>
        <text x="20" y="12" font-size="8" fill="#222222" text-anchor="middle" font-weight="bold" \
        transform="rotate(-90 20 12)" paint-order="stroke" stroke="#ffffff" stroke-width="3" stroke-linejoin="round">\
        a &lt; b &amp; &quot;c&quot;</text>
        </svg>

        """)
  }

  private func pixel(_ image: RGBImage, _ x: Int, _ y: Int) -> [UInt8] {
    Array(image.pixels[(3 * (y * image.width + x))..<(3 * (y * image.width + x) + 3)])
  }

  @Test func pixelsInsideAShapeHaveItsColourAndThoseOutsideStayWhite() {
    let red = Colour(0xFF0000)
    for shape: Drawing.Shape in [
      .disc(centre: Point(10, 10), radius: 5, fill: red),
      .polygon([Point(5, 5), Point(15, 5), Point(15, 15), Point(5, 15)], fill: red),
      .polygon([Point(5, 15), Point(15, 15), Point(15, 5), Point(5, 5)], fill: red),
      .line([Point(2, 10), Point(18, 10)], width: 6, red),
    ] {
      let image = Raster.image(of: Drawing(width: 20, height: 20, shapes: [shape]), scale: 1)
      #expect(pixel(image, 10, 10) == [255, 0, 0])
      #expect(pixel(image, 1, 1) == [255, 255, 255])
      #expect(pixel(image, 10, 18) == [255, 255, 255])
    }
  }

  @Test func shapesThatReachOverTheEdgeAreCut() {
    let drawing = Drawing(
      width: 8, height: 8,
      shapes: [
        .line([Point(-1e6, 4), Point(1e6, 4)], width: 2, .ink), .disc(centre: Point(-50, -50), radius: 3, fill: .ink),
        .text("far away", at: Point(-400, 4000), size: 12, .ink), .line([Point(.nan, 1), Point(2, 2)], width: 1, .ink),
        .picture(RGBImage(width: 30, height: 30), at: Point(-4, 6), scale: 3),
      ])
    #expect(Raster.image(of: drawing, scale: 1).width == 8)
  }

  @Test func picturesInAGridAreEnlargedWithoutBlur() {
    var pixels = [UInt8](repeating: 0, count: 12)
    pixels[0] = 200
    let picture = RGBImage(width: 2, height: 2, pixels: pixels)
    let drawing = Drawing(width: 6, height: 6, shapes: [.picture(picture, at: Point(0, 0), scale: 3)])
    let image = Raster.image(of: drawing, scale: 1)
    #expect(pixel(image, 2, 2) == [200, 0, 0])
    #expect(pixel(image, 3, 2) == [0, 0, 0])
  }

  @Test func aGridKeepsAPlaceForAMissingPicture() {
    let picture = RGBImage(width: 32, height: 32, filledWith: (0, 0, 200))
    let full = ImageGrid(title: "t", columns: ["a", "b"], rows: [.init(label: "r", pictures: [picture, picture])])
    let gap = ImageGrid(title: "t", columns: ["a", "b"], rows: [.init(label: "r", pictures: [picture, nil])])
    #expect(full.image().width == gap.image().width)
    #expect(
      gap.drawing().shapes.contains { if case .text("no image", _, _, _, _, _, _, _) = $0 { true } else { false } })
  }

  @Test func aLongHeadingIsBrokenIntoLinesAndCut() {
    let prompt = Array(repeating: "a very long prompt", count: 20).joined(separator: " ")
    let grid = ImageGrid(
      title: "t", columns: [prompt], rows: [.init(label: "r", pictures: [RGBImage(width: 32, height: 32)])])
    let lines = grid.drawing().shapes.filter {
      if case .text(_, _, 11.5, _, .middle, _, _, _) = $0 { true } else { false }
    }
    #expect(lines.count == 5)
    #expect(grid.image().width < 800)
  }

  @Test func theFaceHasEveryPrintableLetterOfASCII() {
    for value in 0x20...0x7E {
      let letter = String(Unicode.Scalar(UInt8(value)))
      let drawing = Drawing(width: 24, height: 24, shapes: [.text(letter, at: Point(4, 18), size: 16, .ink)])
      let missing = Drawing(width: 24, height: 24, shapes: [.text("\u{1F9EA}", at: Point(4, 18), size: 16, .ink)])
      #expect(Raster.image(of: drawing) != Raster.image(of: missing), "\(letter) is missing")
    }
  }
}
