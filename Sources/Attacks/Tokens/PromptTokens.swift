public import Configuration
public import Diffusion

/// Where an attack's tokens stand among those of a prompt.
public enum TokenPlacement: String, CaseIterable, ConfigurationValue {
  /// Right behind the begin token, before the prompt (UnlearnDiffAtk, arXiv 2310.11868).
  case prefix
  /// Behind the prompt, before the end token.
  case suffix
  /// Together, in the middle of the prompt.
  case middle
  /// One by one, at equal intervals in the prompt.
  case spread
  /// One before every three tokens of the prompt (P4D-K, arXiv 2309.06135): there are ⌊n / 3⌋ + 1 of them for the n
  /// tokens of the prompt, whatever the number that is asked for.
  case everyThird = "every_third"
  /// In the place of the prompt.
  case replace

  /// How many of a prompt's tokens stand before each of the attack's, in ascending order.
  func tokensBefore(count: Int, prompt: Int) -> [Int] {
    switch self {
    case .prefix, .replace: Array(repeating: 0, count: count)
    case .suffix: Array(repeating: prompt, count: count)
    case .middle: Array(repeating: prompt / 2, count: count)
    case .spread: (1...max(count, 1)).prefix(count).map { prompt / (count + 1) * $0 }
    case .everyThird: (0...prompt / 3).map { 3 * $0 }
    }
  }
}

/// A prompt's tokens with room for those of an attack, always as many ids as the tokenizer gives.
public struct PromptTokens {
  /// The ids with the end token in the room.
  public let ids: [Int]
  /// The positions of the attack's tokens, in ascending order; the begin token is at 0.
  public let positions: [Int]

  /// - Parameters:
  ///   - count: the number of the attack's tokens
  /// - Throws: ``AttackError`` where they leave no room for the prompt.
  public init(_ prompt: String, _ placement: TokenPlacement, count: Int, _ tokenizer: CLIPTokenizer) throws {
    let text = placement == .replace ? [] : tokenizer.tokens(prompt)
    let before = placement.tokensBefore(count: count, prompt: text.count)
    let most = tokenizer.modelMaxLength - 2
    guard text.count + before.count <= most else {
      throw AttackError(
        "the prompt \"\(prompt)\" has \(text.count) tokens and leaves no room for \(before.count) more among \(most)")
    }
    positions = before.enumerated().map { 1 + $0 + $1 }
    var body = text
    for position in positions { body.insert(tokenizer.endToken, at: position - 1) }
    let padding = Array(repeating: tokenizer.padToken, count: most - body.count)
    ids = [tokenizer.beginToken] + body + [tokenizer.endToken] + padding
  }

  /// Refuses a number of tokens that fits beside no prompt, or not beside one of these.
  ///
  /// - Throws: ``AttackError``
  static func check(
    _ placement: TokenPlacement, count: Int, _ tokenizer: CLIPTokenizer, prompts: [String]
  ) throws {
    let most = tokenizer.modelMaxLength - (placement == .replace ? 2 : 3)
    guard placement == .everyThird || count <= most else {
      throw AttackError(
        "\(count) tokens of an attack leave no room for a prompt among the \(tokenizer.modelMaxLength) of the model")
    }
    for prompt in prompts { _ = try PromptTokens(prompt, placement, count: count, tokenizer) }
  }

  /// The ids with tokens in the room.
  public func filled(with tokens: [Int]) -> [Int] {
    var ids = ids
    for (position, token) in zip(positions, tokens) { ids[position] = token }
    return ids
  }
}

extension CLIPTokenizer {
  /// The tokens that an attack may use: all but the special ones, which the text of a prompt cannot hold.
  public var ordinaryTokens: [Int] {
    vocabulary.indices.filter { $0 != beginToken && $0 != endToken && $0 != padToken }
  }
}
