public import Configuration
public import Diffusion

/// Where an attack's tokens stand among those of a prompt.
public enum TokenPlacement: String, CaseIterable, ConfigurationValue {
  /// Right behind the begin token, before the prompt (UnlearnDiffAtk, arXiv 2310.11868).
  case prefix
  /// Behind the prompt, before the end token.
  case suffix
  /// In the place of the prompt.
  case replace
}

/// A prompt's tokens with room for those of an attack, always as many ids as the tokenizer gives.
public struct PromptTokens {
  /// The ids with the end token in the room.
  public let ids: [Int]
  /// The positions of the attack's tokens; the begin token is at 0.
  public let room: Range<Int>

  /// - Parameters:
  ///   - count: the number of the attack's tokens
  /// - Throws: ``AttackError`` where they leave no room for the prompt.
  public init(_ prompt: String, _ placement: TokenPlacement, count: Int, _ tokenizer: CLIPTokenizer) throws {
    let text = placement == .replace ? [] : tokenizer.tokens(prompt)
    let most = tokenizer.modelMaxLength - 2
    guard text.count + count <= most else {
      throw AttackError(
        "the prompt \"\(prompt)\" has \(text.count) tokens and leaves no room for \(count) more among \(most)")
    }
    let filler = Array(repeating: tokenizer.endToken, count: count)
    let start = placement == .suffix ? 1 + text.count : 1
    room = start..<start + count
    let body = placement == .suffix ? text + filler : filler + text
    let padding = Array(repeating: tokenizer.padToken, count: most - body.count)
    ids = [tokenizer.beginToken] + body + [tokenizer.endToken] + padding
  }

  /// The ids with tokens in the room.
  public func filled(with tokens: [Int]) -> [Int] {
    var ids = ids
    ids.replaceSubrange(room, with: tokens)
    return ids
  }
}

extension CLIPTokenizer {
  /// The tokens that an attack may use: all but the special ones.
  public var ordinaryTokens: [Int] {
    vocabulary.indices.filter { $0 != beginToken && $0 != endToken && $0 != padToken }
  }
}
