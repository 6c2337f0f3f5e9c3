import Diffusion
import Foundation
import Reports
import Testing

@Test func scratchFigures() throws {
  var d = Drawing(width: 760, height: 330)
  let lines = ["ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz 0123456789", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "±−×·–—…°≤≥∞√→←↑↓ α β γ δ ε η θ λ µ σ τ Δ Σ", "Selective Synaptic Dampening erases “circle”: α = 5, 0.93 ± 0.02", "a red striped circle on a white background"]
  for (i, l) in lines.enumerated() {
    d.shapes.append(.text(l, at: Point(10, 30 + Double(i) * 30), size: 20, .ink))
  }
  d.shapes.append(.text(lines[4], at: Point(10, 215), size: 13, .ink))
  d.shapes.append(.text(lines[5], at: Point(10, 235), size: 12, .softInk))
  d.shapes.append(.text(lines[4], at: Point(10, 260), size: 15, .ink, weight: .bold))
  d.shapes.append(.text("FID (lower is better)", at: Point(10, 290), size: 16, .ink, weight: .bold))
  try PNG.write(Raster.image(of: d, scale: 2), to: "/tmp/font.png")
  try PNG.write(Raster.image(of: d, scale: 1), to: "/tmp/font1.png")

  let plot = ScatterPlot(title: "Erasing “circle” from shapes", x: .init(name: "FID", better: .lower), y: .init(name: "CER", better: .higher), series: [
    .init(isReference: true, marks: [.init(label: "base", x: 9.4, y: 0.03, xDeviation: 0.3, yDeviation: 0.01)]),
    .init(marks: [.init(label: "SSD, α = 1", x: 11, y: 0.25, xDeviation: 0.5, yDeviation: 0.06), .init(label: "SSD, α = 5", x: 14.2, y: 0.92, xDeviation: 1, yDeviation: 0.03), .init(label: "SSD, α = 20", x: 48, y: 0.99, xDeviation: 4), .init(label: "SSD, α = 100", x: 260, y: 1.0)]),
    .init(marks: [.init(label: "ESD", x: 13, y: 0.88), .init(label: "P-ESD, ratio 0.01", x: 12.4, y: 0.95)]),
    .init(marks: [.init(label: "CAD-Erase", x: 12.0, y: 0.93)]),
  ])
  try PNG.write(Raster.image(of: plot.drawing(), scale: 2), to: "/tmp/scatter.png")
  try SVG.document(plot.drawing(), title: plot.title).write(toFile: "/tmp/scatter.svg", atomically: true, encoding: .utf8)

  func blob(_ r: UInt8, _ g: UInt8, _ b: UInt8, _ kind: Int) -> RGBImage {
    var px = [UInt8](repeating: 245, count: 32*32*3)
    for y in 0..<32 { for x in 0..<32 {
      let dx = Double(x) - 15.5, dy = Double(y) - 15.5
      let inside = kind == 0 ? dx*dx+dy*dy < 110 : kind == 1 ? abs(dx) < 10 && abs(dy) < 10 : kind == 2 ? (dy > -10 && dy < 10 && abs(dx) < (dy+10)/2) : (x &* 7 &+ y &* 13) % 5 < 2
      if inside { px[3*(y*32+x)] = r; px[3*(y*32+x)+1] = g; px[3*(y*32+x)+2] = b }
    } }
    return RGBImage(width: 32, height: 32, pixels: px)
  }
  let grid = ImageGrid(title: "Erasing “circle” from shapes", columns: ["a red circle on a white background", "a blue square", "a green striped triangle on a grey background, thick outline, painted twice", "a yellow circle", "a photo"], rows: [
    .init(label: "base", pictures: [blob(200,30,30,0), blob(30,60,200,1), blob(30,160,80,2), blob(220,190,20,0), blob(90,90,90,1)]),
    .init(label: "SSD, α = 5", pictures: [blob(200,30,30,1), blob(30,60,200,1), blob(30,160,80,2), blob(220,190,20,2), nil]),
    .init(label: "SSD, num_fisher_samples = 50, dampening_coeff = 0.5", pictures: [blob(200,30,30,3), blob(30,60,200,3), blob(30,160,80,3), blob(220,190,20,3), blob(90,90,90,3)]),
  ])
  try PNG.write(grid.image(), to: "/tmp/grid.png")
}
