import Diffusion
import Foundation
import Testing

@Suite struct ModelCardTests {
  private let card = """
    {"format": 1, "name": "tiny", "description": "", "sampler": {"steps": 20, "guidance_scale": 3},
     "judges": {"j": "judges/j"}, "neutral_prompts": [""], "vocabulary": ["a", "dog"], "prompt_sets": {},
     "concepts": [{"name": "dog", "kind": "animal", "judge": {"judge": "j", "head": "animal", "class": 0},
       "synonyms": ["hound"], "anchor": "", "prompts": [{"text": "a dog", "concepts": ["dog"]}],
       "concept_prompts": ["dog"], "synonym_prompts": [], "implied_prompts": []}]}
    """

  private func decode(_ text: String) throws(ModelCardError) -> ModelCard {
    try ModelCard.decode(Array(text.utf8), file: "lethe.json")
  }

  @Test func aCardSurvivesItsFile() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("lethe-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(try ModelCard.load(folder: folder) == nil)
    let read = try decode(card)
    try read.write(folder: folder)
    #expect(try ModelCard.load(folder: folder) == read)
    #expect(read.concept("dog")?.judge.head == "animal")
    #expect(read.concepts(otherThan: ["dog"]).isEmpty)
    #expect(read.prompts(of: read.concepts[0], without: ["dog"]).isEmpty)
    #expect(read.unknownWords(in: "A Dog, a cat; a CAT") == ["cat"])
  }

  @Test(arguments: [
    (
      "\"kind\"", "\"kinds\"",
      "lethe.json: concepts[0].kinds: unknown key; here there may be anchor, concept_prompts, "
        + "implied_prompts, judge, kind, name, prompts, synonym_prompts, synonyms"
    ),
    ("\"format\": 1", "\"format\": 2", "lethe.json: format: expected 1, found 2"),
    ("\"steps\": 20", "\"steps\": \"20\"", "lethe.json: sampler.steps: expected an integer"),
    ("\"steps\": 20", "\"steps\": 0", "lethe.json: sampler.steps: expected at least 1, found 0"),
    (
      "\"guidance_scale\": 3", "\"guidance_scale\": -1",
      "lethe.json: sampler.guidance_scale: expected a number of at least 0, found -1.0"
    ),
    ("\"class\": 0", "\"class\": -1", "lethe.json: concepts[0].judge.class: expected at least 0, found -1"),
    (
      "\"judge\": \"j\"", "\"judge\": \"k\"",
      "lethe.json: concepts[0].judge.judge: \"k\" is not one of the card's judges (j)"
    ),
    ("judges/j", "../j", "lethe.json: judges.j: expected a folder below the model's, found \"../j\""),
    (
      "\"concepts\": [\"dog\"]", "\"concepts\": [\"cat\"]",
      "lethe.json: concepts[0].prompts[0].concepts: \"cat\" is not a concept of the card"
    ),
    ("\"vocabulary\": [\"a\", \"dog\"], ", "", "lethe.json: vocabulary: is missing"),
    ("\"synonyms\": [\"hound\"]", "\"synonyms\": [1]", "lethe.json: concepts[0].synonyms[0]: expected a string"),
    ("{\"format\"", "{format", "lethe.json: is not valid JSON"),
  ])
  func aWrongCardIsRefusedWithFileAndKey(part: String, replacement: String, sentence: String) {
    let error = #expect(throws: ModelCardError.self) {
      try decode(card.replacingOccurrences(of: part, with: replacement))
    }
    #expect(error?.description == sentence)
  }
}
