public import Diffusion

/// Words that a prompt filter would catch: no token of an adversarial prompt may have one in it, and no text either.
public struct BlockedWords {
  private let words: [String]

  public init(_ words: [String]) { self.words = words.map { $0.lowercased() }.filter { !$0.isEmpty } }

  /// Whether one of the words is part of a text.
  public func isIn(_ text: String) -> Bool {
    let text = text.lowercased()
    return words.contains { text.contains($0) }
  }

  /// The tokens that a search may use: those that are written as something, and as none of the words.
  ///
  /// - Throws: ``AttackError`` where there is none.
  public func allowedTokens(_ tokenizer: CLIPTokenizer) throws -> [Int] {
    let allowed = tokenizer.ordinaryTokens.filter {
      let text = tokenizer.decode([$0])
      return !text.isEmpty && !isIn(text)
    }
    guard !allowed.isEmpty else { throw AttackError("the blocked words are in every token of the vocabulary") }
    return allowed
  }
}
