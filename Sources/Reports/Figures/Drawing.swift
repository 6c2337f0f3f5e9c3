public import Diffusion

/// A place in a drawing: x to the right, y down, in the drawing's own units (CSS pixels in an SVG file).
public struct Point: Equatable, Sendable {
  public var x: Double
  public var y: Double

  public init(_ x: Double, _ y: Double) {
    self.x = x
    self.y = y
  }

  static func + (a: Point, b: Point) -> Point { Point(a.x + b.x, a.y + b.y) }
  static func - (a: Point, b: Point) -> Point { Point(a.x - b.x, a.y - b.y) }
  static func * (a: Point, factor: Double) -> Point { Point(a.x * factor, a.y * factor) }
  var length: Double { (x * x + y * y).squareRoot() }
}

/// An sRGB colour.
public struct Colour: Equatable, Sendable {
  public var red: UInt8
  public var green: UInt8
  public var blue: UInt8

  /// From a number such as `0x0072B2`.
  public init(_ hex: UInt32) {
    red = UInt8(truncatingIfNeeded: hex >> 16)
    green = UInt8(truncatingIfNeeded: hex >> 8)
    blue = UInt8(truncatingIfNeeded: hex)
  }

  public static let white = Colour(0xFFFFFF)
  public static let ink = Colour(0x222222)
  public static let softInk = Colour(0x5F6368)
  public static let hairline = Colour(0xE4E6E9)
  public static let frame = Colour(0x8A8F96)

  /// Eight colours that people with any common colour blindness tell apart (Okabe and Ito 2008), the darker ones first.
  public static let palette: [Colour] = [
    Colour(0x0072B2), Colour(0xD55E00), Colour(0x009E73), Colour(0xCC79A7), Colour(0xE69F00), Colour(0x56B4E9),
    Colour(0x6A3D9A), Colour(0x8C564B),
  ]
}

/// A figure as a list of shapes, drawn in order: what the SVG writer and the rasteriser both understand.
public struct Drawing: Equatable, Sendable {
  public var width: Double
  public var height: Double
  public var shapes: [Shape]

  public init(width: Double, height: Double, shapes: [Shape] = []) {
    self.width = width
    self.height = height
    self.shapes = shapes
  }

  public enum Shape: Equatable, Sendable {
    /// A stroked line through the points, with round ends and corners. `dash` alternates drawn and skipped lengths.
    case line([Point], width: Double, Colour, dash: [Double] = [])
    /// A filled disc with a rim of another colour (of width 0 for none).
    case disc(centre: Point, radius: Double, fill: Colour, rim: Colour = .white, rimWidth: Double = 0)
    /// A filled convex polygon with a rim of another colour (of width 0 for none).
    case polygon([Point], fill: Colour, rim: Colour = .white, rimWidth: Double = 0)
    /// Text with its baseline at `at`; `halo` puts a white edge around the letters, to be read across lines.
    case text(String, at: Point, size: Double, Colour, anchor: Anchor = .start, weight: Weight = .regular,
      turned: Bool = false, halo: Bool = false)
    /// A picture with its upper left corner at `at`, each of its pixels a square of `scale` units.
    case picture(RGBImage, at: Point, scale: Double)
  }

  /// Which end of a text its position is.
  public enum Anchor: String, Sendable { case start, middle, end }

  public enum Weight: Sendable { case regular, bold }
}
