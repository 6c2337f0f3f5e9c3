import Configuration
import Diffusion
import Metrics
import Tensors
import TestModels
import TestSupport
import Testing

@Suite struct SSIMTests {
  /// The pictures of Tests/Fixtures/generate_ssim.py.
  private func picture(_ a: Int, _ b: Int) -> RGBImage {
    var pixels: [UInt8] = []
    for y in 0..<32 {
      for x in 0..<40 {
        let level = a * x + b * y * y + x * y
        for c in 0..<3 { pixels.append(UInt8((level + 37 * c) % 256)) }
      }
    }
    return RGBImage(width: 40, height: 32, pixels: pixels)
  }

  @Test(arguments: ["other", "mixed"], [3, 7, 25])
  func isThatOfScikitImage(name: String, window: Int) throws {
    let (first, second) = (picture(3, 2), picture(4, 1))
    var other = second
    if name == "mixed" {
      let pixels = zip(first.pixels, second.pixels).map { UInt8((Int($0) * 3 + Int($1)) / 4) }
      other = RGBImage(width: 40, height: 32, pixels: pixels)
    }
    let expected = try #require(JSON.read(Fixtures.path("ssim.json"))[name]?[String(window)]?.number)
    #expect(abs(try StructuralSimilarity(window: window).mean(first, other) - expected) < 1e-9)
  }

  @Test func ofAnImageWithItselfIsOne() throws {
    let image = picture(5, 3)
    #expect(abs(try StructuralSimilarity(window: 7).mean(image, image) - 1) < 1e-12)
  }

  @Test func refusesAnEvenWindowAndImagesSmallerThanOne() throws {
    #expect(throws: ConfigurationError.self) { try configured(SSIMConfiguration.self, ["window": 8]) }
    expectRefusal("images of 8 x 8 and 8 x 8 pixels for windows of 25") {
      let small = RGBImage(width: 8, height: 8)
      _ = try StructuralSimilarity(window: 25).mean(small, small)
    }
  }

  @Test func asksForTheSameImagesOfBothModelsAndForNoneOfTheErasedConcept() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let ssim = try configured(SSIMConfiguration.self, ["limit": 12, "window": 7])
      var context = model.context()
      context.erasedConcepts = ["circle"]
      let requests = try ssim.requests(context)
      #expect(requests.count == 12)
      #expect(try ssim.baseRequests(context) == requests)
      #expect(requests.allSatisfy { !$0.prompt.contains("circle") })
      let pictures = SmallBaseModel.pictures(12)
      let value = try ssim.evaluate(pictures + pictures, context, monitor: WorkMonitor())[0]
      #expect(value.count == 12 && abs(value.value - 1) < 1e-12 && value.direction == .higher)
    }
  }

  @Test func isMeasuredAlikeOnTheBaseModelWhereItNamesTheConceptThatTheTechniqueErases() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let images = SmallBaseModel.pictures(8)
      func value(_ config: JSON, erasing concepts: [String]) throws -> (requests: [ImageRequest], value: MetricValue) {
        let ssim = try configured(SSIMConfiguration.self, config.setting("limit", to: 4).setting("window", to: 7))
        let context = model.context(erasing: concepts)
        return (try ssim.requests(context), try ssim.evaluate(images, context, monitor: WorkMonitor())[0])
      }
      let edited = try value([:], erasing: ["circle"])
      let base = try value(["without_concept": "circle"], erasing: [])
      #expect(edited.requests == base.requests && edited.value == base.value)
      #expect(edited.value.unit == "structural similarity over prompts without \"circle\"")
      let prompts = try #require(edited.value.prompts)
      #expect(prompts.name == "general without \"circle\"")
      #expect(!prompts.texts.isEmpty && prompts.texts.allSatisfy { !$0.contains("circle") })
      let several = try value([:], erasing: ["circle", "red"]).value
      #expect(several.prompts?.name == "general without \"circle\" and \"red\"")
      let all = try value([:], erasing: []).value
      #expect(all.unit == "structural similarity" && all.prompts?.name == "general")
    }
  }

  @Test func looksAtAsManyPairsAsItsSource() { #expect(SSIMConfiguration().limit == 1000) }
}
