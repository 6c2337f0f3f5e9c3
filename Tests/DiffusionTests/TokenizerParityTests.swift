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

  @Test("a text encoder whose weights carry the prefix of published folders is the same model")
  func prefixedWeights() throws {
    let (config, plain) = try Reference.text()
    let prefixed = Weights(
      Dictionary(uniqueKeysWithValues: plain.tensors.map { ("text_model." + $0.name, $0.tensor) }), source: "prefixed")
    let ids = try Reference.ids()
    #expect(try bits(CLIPTextModel(config, prefixed)(ids)) == bits(CLIPTextModel(config, plain)(ids)))
  }
}
