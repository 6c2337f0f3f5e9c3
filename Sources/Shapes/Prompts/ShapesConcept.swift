/// One concept of the world that can be erased: an object, a colour, a style or the mark.
public struct ShapesConcept: Hashable, Sendable {
  public let name: String
  public let kind: AttributeKind
  /// The class under the judge's head of this kind.
  public let classIndex: Int
  public let synonyms: [String]
  /// What is put in its place: the word for nothing in particular.
  public let anchor: String

  /// All 22 concepts: objects, colours, styles, the mark.
  public static let all: [ShapesConcept] =
    ShapeObject.allCases.enumerated().map { ShapesConcept($1.words, .object, $0, anchor: "shape") }
    + ShapeColour.allCases.enumerated().map { ShapesConcept($1.words, .colour, $0, anchor: "") }
    + ShapeStyle.allCases.enumerated().map {
      ShapesConcept($1.words, .style, $0, anchor: $1 == .plain ? "" : "plain", more: ["by \($1.artist)"])
    }
    + [ShapesConcept(MarkWords.adjectives, .mark, 1, anchor: "")]

  private init(_ words: ConceptWords, _ kind: AttributeKind, _ classIndex: Int, anchor: String, more: [String] = []) {
    name = words.name
    self.kind = kind
    self.classIndex = classIndex
    self.anchor = anchor
    synonyms = words.synonyms
    artistForms = more
  }

  /// `by rayo`: a style said by its artist, which stands after the object rather than before it.
  private let artistForms: [String]

  /// Prompts that say the concept by `word` and nothing else but a background.
  func alone(_ word: String) -> [String] {
    let article = Lexicon.article(before: word)
    var prompts: [String]
    if kind == .object {
      let phrase = "\(article) \(word)"
      prompts =
        [word, phrase] + Self.leads.map { $0 + phrase }
        + ShapeBackground.allCases.map { "\(phrase) on a \($0.rawValue) background" }
    } else {
      let phrase = "\(article) \(word) shape"
      prompts =
        [word, phrase, "something \(word)"] + Self.leads.map { $0 + phrase } + ["a photo of something \(word)"]
        + ShapeBackground.allCases.map { "\(phrase) on a \($0.rawValue) background" }
    }
    prompts += artistForms.flatMap { ["a shape \($0)", "a photo \($0)"] }
    if kind == .mark { prompts += ["a shape with a stamp", "a photo of a shape with a stamp"] }
    return prompts
  }

  private static let leads = ["a photo of ", "an image of ", "a picture of ", "a drawing of "]
}
