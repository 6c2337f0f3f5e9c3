import Diffusion
import Foundation
import Testing

@Suite struct CLIPTokenizerTests {
  private struct Expected: Decodable {
    struct Case: Decodable {
      var text: String
      var ids: [Int]
    }
    var cases: [String: [Case]]
  }

  private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Fixtures/tokenizer")

  @Test(arguments: ["shapes", "padded", "single-file"])
  func givesTheIdsOfTransformers(folder: String) throws {
    let data = try Data(contentsOf: Self.fixtures.appendingPathComponent("expected.json"))
    let cases = try #require(try JSONDecoder().decode(Expected.self, from: data).cases[folder])
    let tokenizer = try CLIPTokenizer(folder: Self.fixtures.appendingPathComponent(folder).path)
    for expected in cases {
      #expect(tokenizer.encode(expected.text) == expected.ids, "\(expected.text.debugDescription)")
    }
  }

  @Test func readsTheFolderThatDiffusersWrote() throws {
    struct Reference: Decodable { var tokens: [Expected.Case] }
    let root = Self.fixtures.deletingLastPathComponent()
    let data = try Data(contentsOf: root.appendingPathComponent("reference.json"))
    let tokenizer = try CLIPTokenizer(folder: root.appendingPathComponent("tiny-diffusers/tokenizer").path)
    for expected in try JSONDecoder().decode(Reference.self, from: data).tokens {
      #expect(tokenizer.encode(expected.text) == expected.ids, "\(expected.text)")
    }
  }

  @Test func decodingGivesTheWordsBack() throws {
    let tokenizer = try CLIPTokenizer(folder: Self.fixtures.appendingPathComponent("shapes").path)
    let text = "a red circlet , naïve 猫 on white"
    #expect(tokenizer.decode(tokenizer.encode(text)) == text)
    #expect(tokenizer.decode([-1, 1_000_000]) == "")
  }

  @Test func namesTheWordsThatAreNotOneToken() throws {
    let tokenizer = try CLIPTokenizer(folder: Self.fixtures.appendingPathComponent("shapes").path)
    #expect(tokenizer.unknownWords(in: "a red circlet on a circlet, Circle") == ["circlet"])
  }

  @Test func refusesDamagedFoldersWithOneSentence() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("lethe-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    func refusal(_ files: [String: String]) throws -> String {
      try? FileManager.default.removeItem(at: folder)
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      for (name, text) in files { try Data(text.utf8).write(to: folder.appendingPathComponent(name)) }
      let error = try #require(throws: TokenizerError.self) { try CLIPTokenizer(folder: folder.path) }
      return error.description.replacingOccurrences(of: folder.path + "/", with: "")
    }
    let missing = #expect(throws: TokenizerError.self) { try CLIPTokenizer(folder: "/no/such/folder") }
    #expect(missing?.description == "/no/such/folder: there is no such tokenizer folder")
    #expect(try refusal([:]) == "vocab.json: is missing (and there is no tokenizer.json either)")
    #expect(try refusal(["vocab.json": "{\"a\": "]) == "vocab.json: is not valid JSON")
    #expect(try refusal(["vocab.json": "{\"a\": \"b\"}"]) == "vocab.json: the id of \"a\" is not an integer")
    #expect(
      try refusal(["vocab.json": "{\"a\": 0}"])
        == "merges.txt: is missing: vocab.json alone does not say how words are cut")
    #expect(
      try refusal(["vocab.json": "{\"a\": 7}", "merges.txt": ""])
        == "vocab.json: its ids must be 0 to 0, each once; 7 is not (\"a\")")
    #expect(
      try refusal(["vocab.json": "{\"a\": 0}", "merges.txt": "#version: 0.2\na b c\n"])
        == "merges.txt: line 2 is not two tokens with a space between them")
    #expect(
      try refusal(["vocab.json": "{\"a\": 0}", "merges.txt": "a a\n"])
        == "vocab.json: has no bos_token \"<|startoftext|>\"")
    let none = "has no merges, without which every word falls into its letters"
    for text in ["", "#version: 0.2\n", "\n\n"] {
      #expect(try refusal(["vocab.json": "{\"a\": 0}", "merges.txt": text]) == "merges.txt: \(none)")
    }
    #expect(try refusal(["tokenizer.json": "{\"model\": {\"vocab\": {\"a\": 0}}}"]) == "tokenizer.json: \(none)")
    #expect(
      try refusal(["tokenizer.json": "{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": [\"a\"]}}"])
        == "tokenizer.json: merge 1 is not two tokens")
    let special = "{\"<|startoftext|>\": 0, \"<|endoftext|>\": 1, \"a\": 2}"
    #expect(
      try refusal(["vocab.json": special, "merges.txt": "a b\n"])
        == "merges.txt: merge 1, \"a b\", uses a token that is not in the vocabulary")
    #expect(
      try refusal([
        "vocab.json": special, "merges.txt": "a a\n", "tokenizer_config.json": "{\"model_max_length\": \"many\"}",
      ])
        == "tokenizer_config.json: model_max_length: expected an integer of at least 2")
  }
}
