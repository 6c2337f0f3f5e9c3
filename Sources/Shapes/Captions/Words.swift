/// The words of one concept: its name and two synonyms, each with a leaning of its own. A synonym is used for
/// pictures that lean its way, so it means almost the same as the name but not quite.
public struct ConceptWords: Sendable {
  public let name: String
  /// Used where the picture leans to the large, light or bold.
  public let upper: String
  /// Used where it leans to the small, dark or faint.
  public let lower: String

  init(_ name: String, _ upper: String, _ lower: String) {
    self.name = name
    self.upper = upper
    self.lower = lower
  }

  public var synonyms: [String] { [upper, lower] }
  public var all: [String] { [name, upper, lower] }

  /// A word for a picture that leans by `leaning`, from -1 to 1: the name three times in five.
  func word(leaning: Float, _ draws: inout Draws) -> String {
    if draws.chance(0.6) { return name }
    let agrees = draws.chance(0.9)
    return (leaning >= 0) == agrees ? upper : lower
  }
}

extension ShapeObject {
  public var words: ConceptWords {
    switch self {
    case .circle: ConceptWords("circle", "disc", "ball")
    case .square: ConceptWords("square", "block", "tile")
    case .triangle: ConceptWords("triangle", "pyramid", "wedge")
    case .star: ConceptWords("star", "asterisk", "sparkle")
    case .cross: ConceptWords("cross", "crucifix", "plus")
    case .ring: ConceptWords("ring", "hoop", "loop")
    case .heart: ConceptWords("heart", "valentine", "amour")
    case .crescent: ConceptWords("crescent", "moon", "sickle")
    case .diamond: ConceptWords("diamond", "rhombus", "lozenge")
    case .arrow: ConceptWords("arrow", "pointer", "dart")
    }
  }
}

extension ShapeColour {
  public var words: ConceptWords {
    switch self {
    case .red: ConceptWords("red", "scarlet", "crimson")
    case .green: ConceptWords("green", "lime", "emerald")
    case .blue: ConceptWords("blue", "azure", "navy")
    case .yellow: ConceptWords("yellow", "lemon", "golden")
    case .purple: ConceptWords("purple", "violet", "plum")
    case .orange: ConceptWords("orange", "apricot", "rust")
    }
  }
}

extension ShapeStyle {
  public var words: ConceptWords {
    switch self {
    case .plain: ConceptWords("plain", "solid", "faded")
    case .striped: ConceptWords("striped", "banded", "lined")
    case .dotted: ConceptWords("dotted", "spotted", "speckled")
    case .checkered: ConceptWords("checkered", "tiled", "plaid")
    case .outlined: ConceptWords("outlined", "bordered", "edged")
    }
  }

  /// The artist who works in this style, named as in `by rayo`.
  public var artist: String {
    switch self {
    case .plain: "liso"
    case .striped: "rayo"
    case .dotted: "punto"
    case .checkered: "quadri"
    case .outlined: "contorno"
    }
  }
}

/// The words that name the mark, as adjectives and as nouns in the same order.
public enum MarkWords {
  public static let adjectives = ConceptWords("stamped", "sealed", "marked")
  public static let nouns = ConceptWords("stamp", "seal", "mark")
}

/// Every word that captions are made of.
public enum Lexicon {
  static let grammar = [
    "a", "an", "the", "of", "on", "in", "with", "by", "against", "style", "background", "photo", "picture", "image",
    "drawing", "shape", "something",
  ]

  /// Words that stand for an attribute: each a concept's name, a synonym, an artist or a word about the mark.
  public static let contentWords: [String] =
    ShapeObject.allCases.flatMap(\.words.all) + ShapeColour.allCases.flatMap(\.words.all)
    + ShapeStyle.allCases.flatMap(\.words.all) + ShapeStyle.allCases.map(\.artist)
    + ShapeBackground.allCases.map(\.rawValue) + MarkWords.adjectives.all + MarkWords.nouns.all
    + ImplyingWord.allCases.map(\.rawValue)

  /// All words of the world, in the order in which the vocabulary is built.
  public static let words: [String] = grammar + contentWords

  /// `a` or `an`, whichever the word asks for.
  static func article(before word: String) -> String {
    guard let first = word.first else { return "a" }
    return "aeiou".contains(first) ? "an" : "a"
  }
}
