internal import Configuration
internal import Foundation

/// What the files of a tokenizer folder say, checked for shape but not yet put to use.
struct TokenizerFiles {
  let vocabulary: [String]
  let ids: [String: Int]
  let merges: [(String, String)]
  let modelMaxLength: Int
  /// `bos_token`, `eos_token`, `unk_token` and `pad_token` where a file names them.
  let specialTokens: [String: String]
  /// The special tokens that are looked for in lower-case text, so that `<|EndOfText|>` is one: those that are not
  /// written as a plain string or with `"normalized": false`.
  let normalizedTokens: Set<String>
  /// Where vocabulary and merges came from, for errors.
  let vocabularyFile: String
  let mergesFile: String

  init(folder: String) throws(TokenizerError) {
    func path(_ name: String) -> String { (folder as NSString).appendingPathComponent(name) }
    guard !isMissing(folder) else { throw TokenizerError(file: folder, message: "there is no such tokenizer folder") }
    let ids: [String: Int]
    // In tokenizer.json each added token says for itself whether upper case counts.
    var added: [String: Bool] = [:]
    if !isMissing(path("vocab.json")) {
      vocabularyFile = path("vocab.json")
      mergesFile = path("merges.txt")
      ids = try Self.vocabulary(Self.object(vocabularyFile), file: vocabularyFile)
      merges = try Self.merges(text: mergesFile)
    } else if !isMissing(path("tokenizer.json")) {
      vocabularyFile = path("tokenizer.json")
      mergesFile = vocabularyFile
      let file = try Self.object(vocabularyFile)
      for token in file["added_tokens"] as? [[String: Any]] ?? [] {
        if let text = token["content"] as? String { added[text] = token["normalized"] as? Bool ?? false }
      }
      guard let model = file["model"] as? [String: Any] else {
        throw TokenizerError(file: vocabularyFile, message: "has no \"model\" with a vocabulary and merges")
      }
      ids = try Self.vocabulary(model["vocab"] as? [String: Any] ?? [:], file: vocabularyFile)
      merges = try Self.merges(list: model["merges"] as? [Any] ?? [], file: vocabularyFile)
    } else {
      throw TokenizerError(
        file: path("vocab.json"), message: "is missing (and there is no tokenizer.json either)")
    }
    var vocabulary = [String](repeating: "", count: ids.count)
    for (token, id) in ids {
      guard vocabulary.indices.contains(id), vocabulary[id].isEmpty else {
        throw TokenizerError(
          file: vocabularyFile, message: "its ids must be 0 to \(ids.count - 1), each once; \(id) is not (\"\(token)\")"
        )
      }
      vocabulary[id] = token
    }
    self.ids = ids
    self.vocabulary = vocabulary
    guard !merges.isEmpty else {
      throw TokenizerError(file: mergesFile, message: "has no merges, without which every word falls into its letters")
    }

    var special: [String: String] = [:]
    var normalized: [String: Bool] = [:]
    var length = 77
    // The config is read last: where both name a token, it decides, as in transformers.
    for name in ["special_tokens_map.json", "tokenizer_config.json"] {
      if isMissing(path(name)) { continue }
      let values = try Self.object(path(name))
      normalized = [:]
      for key in ["bos_token", "eos_token", "unk_token", "pad_token"] {
        if let text = values[key] as? String {
          special[key] = text
          normalized[text] = false
        } else if let token = values[key] as? [String: Any], let text = token["content"] as? String {
          special[key] = text
          normalized[text] = token["normalized"] as? Bool == true && normalized[text] != false
        }
      }
      if let value = values["model_max_length"] {
        // transformers writes 1e30 for "no limit"; CLIP's text encoders all have one, 77 unless they say otherwise.
        guard let number = value as? Double, number >= 2 else {
          throw TokenizerError(file: path(name), message: "model_max_length: expected an integer of at least 2")
        }
        if number < 1e6 { length = Int(number) }
      }
    }
    specialTokens = special
    normalizedTokens = Set(normalized.merging(added) { $1 }.filter(\.value).keys)
    modelMaxLength = length
  }

  private static func bytes(_ file: String) throws(TokenizerError) -> [UInt8] {
    do throws(UnreadableFile) { return try contents(of: file) } catch {
      throw TokenizerError(file: file, message: error.reason)
    }
  }

  private static func object(_ file: String) throws(TokenizerError) -> [String: Any] {
    let data = Data(try bytes(file))
    do {
      guard let object = try JSONSerialization.jsonObject(with: data) as? [String: Any] else {
        throw TokenizerError(file: file, message: "expected a JSON object")
      }
      return object
    } catch let error as TokenizerError {
      throw error
    } catch {
      throw TokenizerError(file: file, message: "is not valid JSON")
    }
  }

  private static func vocabulary(_ object: [String: Any], file: String) throws(TokenizerError) -> [String: Int] {
    guard !object.isEmpty else { throw TokenizerError(file: file, message: "has no vocabulary") }
    var ids: [String: Int] = [:]
    ids.reserveCapacity(object.count)
    for (token, value) in object {
      guard let id = value as? Int else {
        throw TokenizerError(file: file, message: "the id of \"\(token)\" is not an integer")
      }
      ids[token] = id
    }
    return ids
  }

  /// `merges.txt`: an optional first line `#version: ...`, then one merge a line.
  private static func merges(text file: String) throws(TokenizerError) -> [(String, String)] {
    guard !isMissing(file) else {
      throw TokenizerError(file: file, message: "is missing: vocab.json alone does not say how words are cut")
    }
    var merges: [(String, String)] = []
    let lines = String(decoding: try bytes(file), as: UTF8.self)
      .split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
    for (number, line) in lines.enumerated() {
      if line.isEmpty || (number == 0 && line.hasPrefix("#version")) { continue }
      let parts = line.split(separator: " ")
      guard parts.count == 2 else {
        throw TokenizerError(file: file, message: "line \(number + 1) is not two tokens with a space between them")
      }
      merges.append((String(parts[0]), String(parts[1])))
    }
    return merges
  }

  /// The merges of `tokenizer.json`: pairs, or strings with a space in older files.
  private static func merges(list: [Any], file: String) throws(TokenizerError) -> [(String, String)] {
    var merges: [(String, String)] = []
    for (number, entry) in list.enumerated() {
      let parts = entry as? [String] ?? (entry as? String)?.split(separator: " ").map(String.init) ?? []
      guard parts.count == 2 else {
        throw TokenizerError(file: file, message: "merge \(number + 1) is not two tokens")
      }
      merges.append((parts[0], parts[1]))
    }
    return merges
  }
}
