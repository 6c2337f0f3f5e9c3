import Diffusion
import Foundation
import Shapes
import Testing

@Suite struct ShapesModelCardTests {
  private let world = ShapesWorld()

  @Test func theCardPassesItsOwnChecksAndComesOutTheSameTwice() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("lethe-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try world.modelCard().write(folder: folder)
    #expect(try ModelCard.load(folder: folder) == world.modelCard())
    let first = try Data(contentsOf: URL(fileURLWithPath: folder + "/lethe.json"))
    try world.modelCard().write(folder: folder)
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder + "/lethe.json")) == first)
  }

  @Test func everyConceptHasItsPrompts() {
    let card = world.modelCard()
    #expect(card.concepts.count == 22)
    for concept in card.concepts {
      #expect(concept.prompts.count == 64 && concept.synonymPrompts.count == 48, "\(concept.name)")
      #expect(concept.conceptPrompts.count >= 10)
      for prompt in concept.prompts {
        #expect(prompt.text.split(separator: " ").contains(Substring(concept.name)), "\(prompt.text)")
        #expect(prompt.concepts.contains(concept.name))
      }
      for prompt in concept.synonymPrompts {
        #expect(!prompt.text.split(separator: " ").contains(Substring(concept.name)), "\(prompt.text)")
        #expect(prompt.text.split(separator: " ").contains { concept.synonyms.contains(String($0)) })
      }
      #expect(concept.impliedPrompts.isEmpty == (concept.kind != "mark"))
    }
    #expect(card.promptSets["general"]?.count == 512)
  }

  @Test func everyPromptIsMadeOfTrainingWords() {
    let card = world.modelCard()
    let texts =
      card.neutralPrompts
      + card.promptSets.filter { $0.key != "unseen_after_random_words" }.values.flatMap { $0.map(\.text) }
      + card.concepts.flatMap { $0.conceptPrompts + ($0.prompts + $0.synonymPrompts + $0.impliedPrompts).map(\.text) }
    #expect(texts.filter { !card.unknownWords(in: $0).isEmpty } == [])
    #expect(card.unknownWords(in: "a red zeppelin") == ["zeppelin"])
  }

  @Test func promptsOfAConceptCanBeHadWithoutAnother() throws {
    let card = world.modelCard()
    let red = try #require(card.concept("red"))
    let left = card.prompts(of: red, without: ["circle"])
    #expect(left.count < red.prompts.count && left.count > 40)
    #expect(left.allSatisfy { !$0.text.contains("circle") })
  }
}
