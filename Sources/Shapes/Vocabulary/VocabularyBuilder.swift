internal import Configuration
internal import Diffusion
internal import Foundation

/// Builds the byte-pair vocabulary of the world: all 256 bytes, inside a word and at its end, and as many merges as
/// make each word of the lexicon one token. Other words fall into pieces, as rare words do in Stable Diffusion.
public struct VocabularyBuilder {
  /// The number of positions of the text encoder that goes with it.
  public static let modelMaxLength = 32
  public static let beginToken = "<|startoftext|>"
  public static let endToken = "<|endoftext|>"

  public private(set) var merges: [(String, String)] = []
  /// All tokens in the order of their ids.
  public private(set) var tokens: [String]
  private var ranks: [String: Int] = [:]

  /// Learns the words in their order: each is encoded with the merges so far, and the pieces that are left are
  /// joined from the left, each join a new merge.
  public init(words: [String] = Lexicon.words) {
    tokens = CLIPTokenizer.byteAlphabet + CLIPTokenizer.byteAlphabet.map { $0 + "</w>" }
    var known = Set(tokens)
    for word in words {
      var pieces = self.pieces(of: word)
      while pieces.count > 1 {
        ranks[pieces[0] + " " + pieces[1]] = merges.count
        merges.append((pieces[0], pieces[1]))
        // Two merges can lead to the same token by different ways.
        if known.insert(pieces[0] + pieces[1]).inserted { tokens.append(pieces[0] + pieces[1]) }
        pieces = self.pieces(of: word)
      }
    }
    tokens += [Self.beginToken, Self.endToken]
  }

  /// Writes `vocab.json`, `merges.txt`, `tokenizer_config.json` and `special_tokens_map.json` into `folder`, which is
  /// made if need be.
  ///
  /// - Throws: `FileError` for a file that cannot be written.
  public func write(to folder: String) throws {
    try WholeFile.makeFolder(folder)
    func write(_ text: String, _ name: String) throws { try WholeFile.write(text, to: folder + "/" + name) }
    let entries = tokens.enumerated().map { "  \(quoted($1)): \($0)" }
    try write("{\n" + entries.joined(separator: ",\n") + "\n}\n", "vocab.json")
    try write("#version: 0.2\n" + merges.map { "\($0.0) \($0.1)\n" }.joined(), "merges.txt")
    func added(_ token: String) -> String {
      "{\"content\": \"\(token)\", \"lstrip\": false, \"normalized\": true, \"rstrip\": false, \"single_word\": false}"
    }
    let special = """
        "bos_token": \(added(Self.beginToken)),
        "eos_token": \(added(Self.endToken)),
        "pad_token": "\(Self.endToken)",
        "unk_token": \(added(Self.endToken))
      """
    try write("{\n\(special)\n}\n", "special_tokens_map.json")
    try write(
      """
      {
        "add_prefix_space": false,
        "do_lower_case": true,
        "errors": "replace",
        "model_max_length": \(Self.modelMaxLength),
        "tokenizer_class": "CLIPTokenizer",
      \(special)
      }

      """, "tokenizer_config.json")
  }

  private func pieces(of word: String) -> [String] {
    var pieces = word.utf8.map { CLIPTokenizer.byteAlphabet[Int($0)] }
    guard let last = pieces.last else { return [] }
    pieces[pieces.count - 1] = last + "</w>"
    while true {
      let ranked = (0..<(pieces.count - 1)).compactMap { at in
        ranks[pieces[at] + " " + pieces[at + 1]].map { (rank: $0, at: at) }
      }
      guard let best = ranked.min(by: { ($0.rank, $0.at) < ($1.rank, $1.at) }) else { return pieces }
      pieces[best.at] += pieces.remove(at: best.at + 1)
    }
  }

  private func quoted(_ token: String) -> String {
    "\"" + token.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"") + "\""
  }
}
