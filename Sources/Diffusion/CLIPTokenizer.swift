internal import Foundation

/// A tokenizer folder that cannot be used; `description` is one sentence that names the file.
public struct TokenizerError: Error, Equatable, CustomStringConvertible {
  public let file: String
  public let message: String
  public var description: String { "\(file): \(message)" }
}

/// The byte-pair encoding of CLIP, read from the files of a diffusers `tokenizer` folder: `vocab.json` and
/// `merges.txt` (or `tokenizer.json` where these two are missing), `tokenizer_config.json` and
/// `special_tokens_map.json`. Gives the same ids as `CLIPTokenizer` of transformers.
///
/// Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", section 2.4; Sennrich et
/// al., "Neural Machine Translation of Rare Words with Subword Units".
public struct CLIPTokenizer: Sendable {
  /// The token strings, by id.
  public let vocabulary: [String]
  /// The number of ids that ``encode(_:)`` gives.
  public let modelMaxLength: Int
  public let beginToken: Int
  public let endToken: Int
  /// What fills the rest of the ids: the end token in Stable Diffusion 1, `!` in 2.
  public let padToken: Int
  private let unknownToken: Int
  /// The special tokens by which text is cut: those that ignore case after it is composed, the others before.
  private let specials: [Special]
  /// The ids of the 256 bytes inside and at the end of a word; -1 where the vocabulary lacks one.
  private let byteTokens: [Int]
  private let lastByteTokens: [Int]
  /// From two adjacent ids to the rank of their merge and the id that it gives.
  private let merges: [UInt64: Merge]

  private struct Special: Sendable {
    var scalars: [Unicode.Scalar]
    var id: Int
    /// Whether upper case counts as lower case.
    var ignoresCase: Bool

    func begins(_ text: ArraySlice<Unicode.Scalar>) -> Bool {
      guard ignoresCase else { return text.starts(with: scalars) }
      return text.starts(with: scalars) { $0 == $1 || $0.properties.lowercaseMapping == String($1) }
    }
  }

  private struct Merge: Sendable {
    var rank: Int
    var id: Int
  }

  /// Reads the tokenizer of `folder`.
  public init(folder: String) throws(TokenizerError) {
    let files = try TokenizerFiles(folder: folder)
    vocabulary = files.vocabulary
    modelMaxLength = files.modelMaxLength
    let ids = files.ids
    func special(_ key: String, _ usual: String) throws(TokenizerError) -> Int {
      let text = files.specialTokens[key] ?? usual
      // Raw text is cut at special tokens, and an empty one would be found for ever at the same place.
      guard !text.isEmpty else { throw TokenizerError(file: folder, message: "the \(key) is empty") }
      guard let id = ids[text] else {
        throw TokenizerError(file: files.vocabularyFile, message: "has no \(key) \"\(text)\"")
      }
      return id
    }
    beginToken = try special("bos_token", "<|startoftext|>")
    endToken = try special("eos_token", "<|endoftext|>")
    padToken = try special("pad_token", files.specialTokens["eos_token"] ?? "<|endoftext|>")
    unknownToken = try special("unk_token", files.specialTokens["eos_token"] ?? "<|endoftext|>")
    let names = Set([beginToken, endToken, padToken, unknownToken]).sorted()
    specials = names.map { [vocabulary] id in
      let text = vocabulary[id]
      return Special(
        scalars: Array(text.unicodeScalars), id: id, ignoresCase: files.normalizedTokens.contains(text))
    }

    let alphabet = Self.byteAlphabet
    byteTokens = alphabet.map { ids[$0] ?? -1 }
    lastByteTokens = alphabet.map { ids[$0 + "</w>"] ?? -1 }
    var merges: [UInt64: Merge] = [:]
    merges.reserveCapacity(files.merges.count)
    for (rank, (left, right)) in files.merges.enumerated() {
      guard let first = ids[left], let second = ids[right], let joined = ids[left + right] else {
        throw TokenizerError(
          file: files.mergesFile,
          message: "merge \(rank + 1), \"\(left) \(right)\", uses a token that is not in the vocabulary")
      }
      merges[Self.pair(first, second)] = Merge(rank: rank, id: joined)
    }
    self.merges = merges
  }

  /// The ids of a prompt: begin token, at most `modelMaxLength - 2` tokens of the text, end token, padding.
  public func encode(_ text: String) -> [Int] {
    var ids = [beginToken] + tokens(text).prefix(max(0, modelMaxLength - 2)) + [endToken]
    ids += Array(repeating: padToken, count: max(0, modelMaxLength - ids.count))
    return ids
  }

  /// Whether a text has more tokens than ``encode(_:)`` keeps.
  public func isTruncated(_ text: String) -> Bool {
    // A token is a byte at least, and composing makes no more than three times as many of them.
    text.utf8.count * 3 > modelMaxLength - 2 && tokens(text).count > modelMaxLength - 2
  }

  /// What to say of texts that have more tokens than ``encode(_:)`` keeps, in one sentence; nil where none has.
  public func truncationWarning(_ texts: [String]) -> String? {
    let cut = texts.filter(isTruncated)
    guard let first = cut.first else { return nil }
    let shown = first.count > 60 ? first.prefix(60) + "..." : first[...]
    let count = cut.count == 1 ? "a prompt has" : "\(cut.count) prompts have"
    let rest = cut.count == 1 ? "and is cut" : "and are cut, the first of them"
    return "\(count) more tokens than the \(modelMaxLength - 2) that the text encoder reads, \(rest): \"\(shown)\""
  }

  /// The ids of the text alone, without begin and end token, however many there are.
  public func tokens(_ text: String) -> [Int] {
    var ids: [Int] = []
    cut(Array(text.unicodeScalars), at: specials.filter { !$0.ignoresCase }, to: &ids) { raw, ids in
      cut(Self.composed(raw), at: specials.filter(\.ignoresCase), to: &ids) { piece, ids in
        for word in Self.words(of: piece) { appendPieces(of: word, to: &ids) }
      }
    }
    return ids
  }

  /// Special tokens, and in the order of the text what lies between them.
  private func cut(
    _ scalars: [Unicode.Scalar], at specials: [Special], to ids: inout [Int],
    between: (ArraySlice<Unicode.Scalar>, inout [Int]) -> Void
  ) {
    var start = 0
    var at = 0
    while at < scalars.count {
      if let special = specials.first(where: { $0.begins(scalars[at...]) }) {
        between(scalars[start..<at], &ids)
        ids.append(special.id)
        at += special.scalars.count
        start = at
      } else {
        at += 1
      }
    }
    between(scalars[start...], &ids)
  }

  /// The words of a text that are not one token of their own: unknown to a vocabulary that lists its words whole.
  public func unknownWords(in text: String) -> [String] {
    var found: [String] = []
    for word in Self.words(of: ArraySlice(Self.composed(ArraySlice(text.unicodeScalars)))) {
      var ids: [Int] = []
      appendPieces(of: word, to: &ids)
      let string = String(String.UnicodeScalarView(word))
      if ids.count != 1 && !found.contains(string) { found.append(string) }
    }
    return found
  }

  /// The text of ids, special tokens left out, one space after each word.
  public func decode(_ ids: [Int]) -> String {
    var bytes: [UInt8] = []
    let values = Self.byteValues
    for id in ids where vocabulary.indices.contains(id) && id != beginToken && id != endToken && id != padToken {
      var token = vocabulary[id]
      let endsWord = token.hasSuffix("</w>")
      if endsWord { token.removeLast(4) }
      for scalar in token.unicodeScalars {
        if let byte = values[scalar] { bytes.append(byte) } else { bytes += Array(String(scalar).utf8) }
      }
      if endsWord { bytes.append(0x20) }
    }
    if bytes.last == 0x20 { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Byte-pair encoding of one word: of all pairs of neighbours that have a merge, the one that was learnt first is
  /// joined, the leftmost of them first, until none is left.
  private func appendPieces(of word: [Unicode.Scalar], to ids: inout [Int]) {
    var pieces: [Int] = []
    let bytes = Array(String(String.UnicodeScalarView(word)).utf8)
    for (index, byte) in bytes.enumerated() {
      let id = index == bytes.count - 1 ? lastByteTokens[Int(byte)] : byteTokens[Int(byte)]
      pieces.append(id >= 0 ? id : unknownToken)
    }
    while pieces.count > 1 {
      var best: (merge: Merge, at: Int)?
      for at in 0..<(pieces.count - 1) {
        guard let merge = merges[Self.pair(pieces[at], pieces[at + 1])] else { continue }
        if best.map({ merge.rank < $0.merge.rank }) ?? true { best = (merge, at) }
      }
      guard let best else { break }
      pieces[best.at] = best.merge.id
      pieces.remove(at: best.at + 1)
    }
    ids += pieces
  }

  private static func pair(_ first: Int, _ second: Int) -> UInt64 { UInt64(first) << 32 | UInt64(second) }
}
