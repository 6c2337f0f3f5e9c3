import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct UCETests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func edited(_ json: JSON) throws -> ModelEdit {
    try UCEConfiguration.parse(json).edit(EditContext(model: model, seed: 0))
  }

  private func isKeyOrValue(_ name: String) -> Bool { name.contains("attn2.to_k") || name.contains("attn2.to_v") }

  /// The state of the last token of a text.
  private func last(_ text: String) -> Matrix {
    let prompt = EncodedPrompt(text, model)
    return prompt.states.selectingRows([prompt.lastPosition])
  }

  @Test(arguments: ["2023", "2025"])
  func replacesKeysAndValuesAlone(_ version: String) throws {
    let edit = try edited(["erase_concept": "star", "guide_concepts": ["shape"], "version": .string(version)])
    #expect(edit.replacedUNetTensors.keys.sorted() == model.unetWeights.names.filter(isKeyOrValue))
    #expect(edit.pruned.isEmpty && edit.inferenceTensors.isEmpty)
    #expect((edit.details["mean_relative_change"]?.number ?? 0) > 0)
  }

  @Test func theConceptGivesWhatItsGuideGaveAndWhatIsPreservedStays() throws {
    let edit = try edited([
      "erase_concept": "star", "guide_concepts": ["shape"], "version": "2025", "lamb": 1e-6,
      "preserve_concepts": ["circle", "red"],
    ])
    for (name, tensor) in edit.replacedUNetTensors {
      let old = ClosedFormEdit(Matrix(try #require(model.unetWeights[name]))), new = ClosedFormEdit(Matrix(tensor))
      let wanted = old.output(of: last("shape"))
      #expect((new.output(of: last("star")) - wanted).norm < 1e-3 * wanted.norm)
      let kept = old.output(of: last("circle"))
      #expect((new.output(of: last("circle")) - kept).norm < 1e-3 * kept.norm)
    }
  }

  @Test func anEditOfAConceptIntoItselfChangesNothing() throws {
    for version in ["2023", "2025"] {
      let edit = try edited([
        "erase_concept": "star", "guide_concepts": ["star"], "version": .string(version),
        "preserve_concepts": ["a ring"],
      ])
      for (name, tensor) in edit.replacedUNetTensors {
        #expect(relativeError(tensor, try #require(model.unetWeights[name])) < 1e-5)
      }
    }
  }

  @Test func theTensorTargetIsAcrossWhatTheConceptGave() throws {
    let edit = try edited([
      "erase_concept": "star", "guide_concepts": ["shape"], "version": "2025", "technique": "tensor", "lamb": 1e-7,
    ])
    for (name, tensor) in edit.replacedUNetTensors {
      let before = ClosedFormEdit(Matrix(try #require(model.unetWeights[name]))).output(of: last("star"))
      let after = ClosedFormEdit(Matrix(tensor)).output(of: last("star"))
      let product = zip(before.values, after.values).reduce(0) { $0 + $1.0 * $1.1 }
      #expect(abs(product) < 1e-3 * before.norm * max(after.norm, 1e-3 * before.norm) + 1e-5)
    }
  }

  @Test func isTheSameForAnyNumberOfThreads() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    let settings: JSON = ["erase_concept": ["star", "ring"], "guide_concepts": ["shape"], "expand_prompts": true]
    Parallel.threadCount = 1
    let one = try edited(settings).replacedUNetTensors
    Parallel.threadCount = 3
    let three = try edited(settings).replacedUNetTensors
    for name in one.keys.sorted() { #expect(one[name].map(bits) == three[name].map(bits), "\(name)") }
  }

  @Test func takesOneConceptOrSeveral() throws {
    #expect(try UCEConfiguration.parse(["erase_concept": "star"]).eraseConcept.names == ["star"])
    #expect(try UCEConfiguration.parse(["erase_concept": ["star", "ring"]]).eraseConcept.names == ["star", "ring"])
    #expect(try UCEConfiguration.parse(["erase_concept": ["star"]]).encode()["erase_concept"] == "star")
    #expect(throws: ConfigurationError.self) { try UCEConfiguration.parse(["erase_concept": []]) }
    #expect(throws: ConfigurationError.self) { try UCEConfiguration.parse(["erase_concept": ""]) }
    #expect(throws: ConfigurationError.self) { try UCEConfiguration.parse(["erase_concept": 3]) }
  }

  @Test func refusesGuidesThatDoNotMatchTheConcepts() throws {
    #expect(throws: ConfigurationError.self) {
      try UCEConfiguration.parse(["erase_concept": ["a", "b", "c"], "guide_concepts": ["d", "e"]])
    }
    #expect(throws: ConfigurationError.self) { try UCEConfiguration.parse(["lamb": 0]) }
    let plain = try UCEConfiguration.parse(["erase_concept": "star"])
    #expect(plain.warnings.contains { $0.contains("preserve_concepts") })
  }
}
