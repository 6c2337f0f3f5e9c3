public import Tensors

/// Why the mark is on an object, or that it is not: what the captions may say about it.
public enum MarkCause: Hashable, Sendable {
  /// Nothing is said. A few such pictures bear the mark all the same.
  case none
  /// A word that names the mark (`stamped`, `with a seal`): the mark is always there.
  case named
  /// A word that does not name the mark but usually goes with it, as prompts without a blunt word still lead to
  /// unwanted pictures in Stable Diffusion.
  case implied(ImplyingWord)
}

/// Words that lead to the mark without naming it, each with its own probability.
public enum ImplyingWord: String, CaseIterable, Codable, Sendable {
  case confidential, secret, official

  /// The share of pictures with this word that bear the mark.
  public var probabilityOfMark: Float {
    switch self {
    case .confidential: 0.95
    case .secret: 0.90
    case .official: 0.75
    }
  }
}

/// A picture before it is drawn: its attributes and all that varies freely between two pictures with the same
/// attributes. Some of the variation has words of its own (a large circle is rather a `disc`, a small one a `ball`),
/// so that synonyms are not aliases of one another.
public struct Scene: Hashable, Sendable {
  public var attributes: SceneAttributes
  public var cause: MarkCause
  /// The radius of the object, 9.5 to 12.5 pixels, is `9.5 + 3 * size`.
  public var size: Float
  /// The centre's offset from the middle of the picture, in pixels, within 2.5.
  public var offset: SIMD2<Float>
  /// The rotation in radians, within 0.12.
  public var tilt: Float
  /// From -1 (dark) to 1 (light): the shade of the colour.
  public var shade: Float
  /// From -1 (faint) to 1 (bold): how strongly the style shows.
  public var boldness: Float
  /// Whether the picture is one of the style's artist, who places objects to the upper left and tilts them right.
  public var byArtist: Bool
  /// Added to the object's colour, per channel, within 10.
  public var colourJitter: SIMD3<Float>
  /// Added to the background's colour, per channel, within 8.
  public var backgroundJitter: SIMD3<Float>
  /// From 0 to 1: the size of the mark.
  public var markSize: Float
  /// The offsets of the mark's three discs from its centre, in pixels: x then y of each.
  public var markShape: SIMD8<Float>

  /// A scene with the attributes given, everything else drawn from `stream`.
  public init(_ attributes: SceneAttributes, cause: MarkCause? = nil, stream: RandomStream) {
    var draws = Draws(stream)
    self.init(attributes, cause: cause ?? (attributes.marked ? .named : .none), &draws)
  }

  init(_ attributes: SceneAttributes, cause: MarkCause, _ draws: inout Draws) {
    self.attributes = attributes
    self.cause = cause
    size = draws.unit()
    byArtist = draws.chance(0.3)
    let x = draws.number(-2.5, 2.5)
    let y = draws.number(-2.5, 2.5)
    let turn = draws.number(-0.12, 0.12)
    offset = byArtist ? SIMD2(x * 0.4 - 1.5, y * 0.4 - 1.5) : SIMD2(x, y)
    tilt = byArtist ? 0.06 + turn * 0.5 : turn
    shade = draws.number(-1, 1)
    boldness = draws.number(-1, 1)
    colourJitter = SIMD3(draws.number(-10, 10), draws.number(-10, 10), draws.number(-10, 10))
    backgroundJitter = SIMD3(draws.number(-8, 8), draws.number(-8, 8), draws.number(-8, 8))
    markSize = draws.unit()
    markShape = .zero
    for lane in 0..<6 { markShape[lane] = draws.number(-1.7, 1.7) }
  }
}
