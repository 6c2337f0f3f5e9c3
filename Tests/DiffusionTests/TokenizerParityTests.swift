import Configuration
import Diffusion
import Foundation
import TestSupport
import Tensors
import Testing

@Suite("Prompts become the ids and states that transformers gives them")
struct TokenizerParityTests {
  private func cases() throws -> [(text: String, ids: [Int])] {
    try #require(Reference.json()["tokens"]?.array).map { entry in
      (try #require(entry["text"]?.string), try #require(entry["ids"]?.array).compactMap(\.integer))
    }
  }

  @Test("ids, from vocab.json and merges.txt")
  func vocabularyAndMerges() throws {
    let tokenizer = try CLIPTokenizer(folder: Reference.tinyDiffusers + "/tokenizer")
    for (text, ids) in try cases() { #expect(tokenizer.encode(text) == ids, "\(text)") }
  }

  @Test("ids, from tokenizer.json alone, as transformers 5 writes it")
  func tokenizerFile() throws {
    try withScratchFolder { scratch in
      for name in ["tokenizer.json", "tokenizer_config.json"] {
        try FileManager.default.copyItem(
          atPath: "\(Reference.tinyDiffusers)/tokenizer/\(name)", toPath: "\(scratch)/\(name)")
      }
      let tokenizer = try CLIPTokenizer(folder: scratch)
      for (text, ids) in try cases() { #expect(tokenizer.encode(text) == ids, "\(text)") }
    }
  }

  @Test("ids of ten thousand strings of all scripts, marks, spaces and signs")
  func tenThousandStrings() throws {
    let tokenizer = try CLIPTokenizer(folder: Fixtures.path("tokenizer/clip"))
    let text = try Data(contentsOf: URL(filePath: Fixtures.path("tokenizer/strings.jsonl")))
    let lines = text.split(separator: UInt8(ascii: "\n"))
    #expect(lines.count == 10_000)
    for line in lines {
      let entry = try JSON.parse(line, file: "strings.jsonl")
      let string = try #require(entry[0]?.string)
      let scalars = string.unicodeScalars.map { String($0.value, radix: 16) }.joined(separator: " ")
      if let ids = entry[2]?.array {
        var found = tokenizer.encode(string)
        #expect(found.count == 77)
        while found.suffix(2) == [tokenizer.endToken, tokenizer.endToken] { found.removeLast() }
        #expect(found == ids.compactMap(\.integer), "\(scalars)")
      }
      #expect(Optional(digest(tokenizer.tokens(string))) == entry[1]?.string, "\(scalars)")
    }
  }

  /// FNV-1a over four bytes of each id.
  private func digest(_ ids: [Int]) -> String {
    var hash: UInt32 = 0x811C_9DC5
    for id in ids {
      for shift in [0, 8, 16, 24] { hash = (hash ^ UInt32(id >> shift & 255)) &* 0x0100_0193 }
    }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  @Test("a text encoder whose weights carry the prefix of published folders is the same model")
  func prefixedWeights() throws {
    let (config, plain) = try Reference.text()
    let prefixed = Weights(
      Dictionary(uniqueKeysWithValues: plain.tensors.map { ("text_model." + $0.name, $0.tensor) }), source: "prefixed")
    let ids = try Reference.ids()
    #expect(try bits(CLIPTextModel(config, prefixed)(ids)) == bits(CLIPTextModel(config, plain)(ids)))
  }
}
