public import Diffusion
public import Tensors

/// A prompt as cross-attention sees it: its tokens, their places and their states.
public struct EncodedPrompt {
  /// The tokens of the text alone, as many as the text encoder takes.
  public let textTokens: [Int]
  /// The states of all positions: begin token, text, end token and padding; (positions, width).
  public let states: Matrix

  public init(_ text: String, _ model: DiffusionModel) {
    let tokenizer = model.tokenizer
    textTokens = Array(tokenizer.tokens(text).prefix(max(0, tokenizer.modelMaxLength - 2)))
    let states = model.textEncoder([tokenizer.encode(text)])
    self.states = Matrix(states.reshaped([states.shape[1], states.shape[2]]))
  }

  /// All states of several prompts, one below the other: (prompts * positions, width).
  public static func states(of prompts: [String], _ model: DiffusionModel) -> Matrix {
    Matrix(
      stacking: prompts.map { EncodedPrompt($0, model).states }, columns: model.unet.config.crossAttentionSize)
  }

  /// The number of positions.
  public var length: Int { states.rows }

  /// The position of the last token of the text; that of the begin token, 0, where the text is empty.
  public var lastPosition: Int { textTokens.count }

  /// The position of the first end token.
  public var endPosition: Int { textTokens.count + 1 }

  /// The positions at which a phrase stands, each time it does.
  ///
  /// - Parameter phrase: the tokens of the phrase alone
  public func positions(of phrase: [Int]) -> [Int] {
    guard !phrase.isEmpty, phrase.count <= textTokens.count else { return [] }
    let starts = (0...textTokens.count - phrase.count).filter {
      textTokens[$0..<$0 + phrase.count].elementsEqual(phrase)
    }
    return Set(starts.flatMap { $0 + 1..<$0 + 1 + phrase.count }).sorted()
  }

  /// The states of this prompt and of another from the last token of each text to the end, pairwise, as far as the
  /// shorter of the two goes: last word on last word, end token on end token, padding on padding.
  public func alignedFromLast(with other: EncodedPrompt) -> (Matrix, Matrix) {
    let count = length - max(lastPosition, other.lastPosition)
    return (
      states.selectingRows(lastPosition..<lastPosition + count),
      other.states.selectingRows(other.lastPosition..<other.lastPosition + count)
    )
  }

  /// The states of the tokens that this prompt shares with another, pairwise: those before the first word in which
  /// they differ, those behind the last, and the padding (MACE, arXiv 2403.06135, section 3.2).
  public func aligned(withSharedTokensOf other: EncodedPrompt) -> (Matrix, Matrix) {
    let shorter = min(textTokens.count, other.textTokens.count)
    let before = zip(textTokens, other.textTokens).prefix { $0 == $1 }.count
    let fromTheEnd = zip(textTokens.reversed(), other.textTokens.reversed())
    let behind = fromTheEnd.prefix(shorter - before).prefix { $0 == $1 }.count
    // Behind the differing words: the rest of the text, the end token, the padding.
    let tail = behind + length - max(endPosition, other.endPosition)
    func states(_ prompt: EncodedPrompt) -> Matrix {
      let start = prompt.endPosition - behind
      return prompt.states.selectingRows(Array(0...before) + Array(start..<start + tail))
    }
    return (states(self), states(other))
  }
}
