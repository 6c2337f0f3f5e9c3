import Configuration
import Diffusion
import Foundation
import Metrics
import Shapes
import Tensors
import TestModels
import TestSupport
import Testing

@Suite struct FIDTests {
  @Test func measuresTheGeneralPromptsAgainstReferenceImages() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let fid = try configured(FIDConfiguration.self, ["limit": 40, "reference_limit": 60])
      #expect(try fid.requests(model.context()).count == 40)
      let values = try fid.evaluate(SmallBaseModel.pictures(40), model.context(), monitor: WorkMonitor())
      let value = try #require(values.first)
      #expect(values.count == 1)
      #expect((value.name, value.direction, value.count) == ("fid", .lower, 40))
      #expect(value.value.isFinite && value.value > 0)
      #expect(value.details["reference_images"] == 60)
      #expect(value.judge == "shapes/attributes")
    }
  }

  @Test func promptsOfAConceptCanBeLeftOutAndTheUnitSaysSo() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let concept = try #require(model.card.promptSets["general"]?.flatMap(\.concepts).first)
      let fid = try configured(
        FIDConfiguration.self, ["limit": 40, "reference_limit": 60, "without_concept": .string(concept)])
      let kept = (model.card.promptSets["general"] ?? []).filter { !$0.concepts.contains(concept) }.map(\.text)
      let requests = try fid.requests(model.context())
      #expect(requests.count == 40)
      #expect(requests.allSatisfy { kept.contains($0.prompt) })
      let value = try fid.evaluate(SmallBaseModel.pictures(40), model.context(), monitor: WorkMonitor())[0]
      #expect(value.unit == "squared feature distance over prompts without \"\(concept)\"")
      let clip = try configured(CLIPScoreConfiguration.self, ["limit": 40, "without_concept": .string(concept)])
      #expect(try clip.requests(model.context()) == requests)
    }
  }

  @Test func picturesOfTheWorldAreNearerThanPicturesOfNothing() throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context()
      let fid = try configured(FIDConfiguration.self, ["limit": 100, "reference_limit": 100])
      let drawn = try fid.evaluate(SmallBaseModel.pictures(100), context, monitor: WorkMonitor())[0].value
      let blank = [RGBImage](repeating: RGBImage(width: 32, height: 32), count: 100)
      #expect(try fid.evaluate(blank, context, monitor: WorkMonitor())[0].value > 2 * drawn)
    }
  }

  @Test func theSameImagesGiveTheSameBits() throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context()
      let fid = try configured(FIDConfiguration.self, ["limit": 30, "reference_limit": 30])
      let images = SmallBaseModel.pictures(30)
      let first = try fid.evaluate(images, context, monitor: WorkMonitor())
      #expect(try fid.evaluate(images, context, monitor: WorkMonitor()) == first)
    }
  }

  @Test(arguments: [1, 1_000_001, 1 << 60])
  func oneImageIsTooFewAndMoreThanAMillionAreTooMany(count: Int) {
    for key in ["limit", "reference_limit"] {
      #expect(throws: ConfigurationError.self) { try configured(FIDConfiguration.self, [key: .integer(count)]) }
    }
  }

  @Test func generalPromptsOfAnotherWorldHaveNoReferenceImages() throws {
    try withScratchFolder { folder in
      var model = try SmallBaseModel(folder: folder)
      model.card.promptSets["general"] = [ModelCard.Prompt("a horse", concepts: [])]
      expectRefusal("\"a horse\" is no prompt of the drawn world") {
        _ = try FIDConfiguration().evaluate(SmallBaseModel.pictures(2), model.context(), monitor: WorkMonitor())
      }
      model.card.promptSets = [:]
      expectRefusal("no prompts under prompt_sets.general") { _ = try FIDConfiguration().requests(model.context()) }
    }
  }
}

@Suite struct CLIPScoreTests {
  @Test func isAHundredTimesTheMeanCosine() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let score = try configured(CLIPScoreConfiguration.self, ["limit": 70])
      let images = SmallBaseModel.pictures(70)
      let value = try score.evaluate(images, model.context(), monitor: WorkMonitor())[0]

      let clip = try CLIPModel(folder: folder + "/judges/clip")
      let tokenizer = try CLIPTokenizer(folder: folder + "/tokenizer")
      let texts = clip.textFeatures(try score.requests(model.context()).map { tokenizer.encode($0.prompt) })
      let pictures = clip.imageFeatures(RGBImage.batch(images))
      let cosines = (texts.normalizedRows() * pictures.normalizedRows()).sum(axis: -1)
      #expect(abs(value.value - 100 * Double(cosines.mean().item)) < 1e-3)
      #expect(abs(value.value) <= 100)
      #expect((value.name, value.unit, value.direction) == ("clip_score", "100 x cosine", .higher))
      #expect((value.count, value.judge) == (70, "shapes/clip"))
    }
  }

  @Test func readsTheTokenizerOfTheBaseModelWhereTheJudgeHasNone() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      #expect(
        try CLIPScoreConfiguration().judges(model.context()) == [folder + "/judges/clip", folder + "/tokenizer"])
    }
  }

  @Test func normalisesImagesAsItsFolderSays() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let score = try configured(CLIPScoreConfiguration.self, ["limit": 8])
      let images = SmallBaseModel.pictures(8)
      let plain = try score.evaluate(images, model.context(), monitor: WorkMonitor())[0].value
      let file = folder + "/judges/clip/preprocessor_config.json"
      let openAI: JSON = [
        "do_normalize": true, "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28],
      ]
      try openAI.canonical().write(toFile: file, atomically: true, encoding: .utf8)
      #expect(try score.evaluate(images, model.context(), monitor: WorkMonitor())[0].value != plain)
      try #"{"image_mean": [0.5], "image_std": [1, 1, 1]}"#.write(toFile: file, atomically: true, encoding: .utf8)
      expectRefusal("a list of three numbers was expected") {
        _ = try score.evaluate(images, model.context(), monitor: WorkMonitor())
      }
    }
  }

  @Test(arguments: [0, 1_000_001])
  func numbersOfImagesThatNobodyDrawsAreRefused(count: Int) {
    #expect(throws: ConfigurationError.self) {
      try configured(CLIPScoreConfiguration.self, ["limit": .integer(count)])
    }
    #expect(throws: ConfigurationError.self) {
      try configured(PromptAccuracyConfiguration.self, ["limit": .integer(count)])
    }
  }

  @Test func aJudgeThatDoesNotFitTheTokenizerIsRefused() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let judge = folder + "/judges/clip"
      let images = SmallBaseModel.pictures(8)
      let score = try configured(CLIPScoreConfiguration.self, ["limit": 8])
      let config = try CLIPConfig(ConfigurationFile(path: judge + "/config.json"))
      let weights = try Weights(loading: SafetensorsFile(judge + "/model.safetensors"))

      var other = config
      other.text.endToken += 1
      try CLIPModel.write(other, weights, to: judge)
      expectRefusal("reads a prompt at its end token") {
        _ = try score.evaluate(images, model.context(), monitor: WorkMonitor())
      }

      other = config
      other.text.vocabularySize -= 1
      let name = "text_model.embeddings.token_embedding.weight"
      let table = try #require(weights[name]).slice(axis: 0, 0..<other.text.vocabularySize)
      var tensors = weights.byName
      tensors[name] = table
      try CLIPModel.write(other, Weights(tensors, source: "test"), to: judge)
      expectRefusal("does not fit the CLIP model") {
        _ = try score.evaluate(images, model.context(), monitor: WorkMonitor())
      }
    }
  }

  @Test func aMissingWeightIsNamed() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      try FileManager.default.removeItem(atPath: folder + "/judges/clip/model.safetensors")
      expectRefusal("model.safetensors") {
        _ = try CLIPScoreConfiguration().evaluate(
          SmallBaseModel.pictures(300), model.context(), monitor: WorkMonitor())
      }
    }
  }
}
