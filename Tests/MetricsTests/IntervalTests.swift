import Configuration
import Diffusion
import Foundation
import Metrics
import Tensors
import TestModels
import TestSupport
import Testing

@Suite struct IntervalTests {
  private func reference() throws -> JSON { try JSON.read(Fixtures.path("metrics.json")) }

  private func requests(_ count: Int, prompts: Int, seed: UInt64 = 7) -> [ImageRequest] {
    (0..<count).map { ImageRequest(prompt: "prompt \($0 % prompts)", seed: seed, repetition: $0 / prompts) }
  }

  @Test func ofSharesAreThoseOfScipy() throws {
    for row in try #require(try reference()["wilson"]?.array) {
      let numbers = (row.array ?? []).compactMap(\.number)
      let interval = try #require(ConfidenceInterval.wilson(Int(numbers[0]), of: Int(numbers[1])))
      #expect(abs(interval.lower - numbers[2]) < 1e-12)
      #expect(abs(interval.upper - numbers[3]) < 1e-12)
    }
    #expect(ConfidenceInterval.wilson(0, of: 0) == nil)
  }

  @Test func ofMeansAreThoseOfScipyWithinTheNoiseOfAThousandResamples() throws {
    let bootstrap = try #require(try reference()["bootstrap"])
    let sample = (bootstrap["sample"]?.array ?? []).compactMap(\.number)
    let ends = (bootstrap["interval"]?.array ?? []).compactMap(\.number)
    let interval = try #require(try Bootstrap(requests(200, prompts: 200), of: "test").mean(sample))
    let width = ends[1] - ends[0]
    #expect(abs(interval.lower - ends[0]) < 0.1 * width)
    #expect(abs(interval.upper - ends[1]) < 0.1 * width)
  }

  @Test func imagesOfOnePromptAreOneDrawAndNotMany() throws {
    // Ten prompts with values of their own: twenty images of each say hardly more than one.
    let values = (0..<200).map { Double($0 % 10) }
    let apart = try #require(try Bootstrap(requests(200, prompts: 200), of: "test").mean(values))
    let together = try #require(try Bootstrap(requests(200, prompts: 10), of: "test").mean(values))
    #expect(together.upper - together.lower > 3 * (apart.upper - apart.lower))
    #expect(try Bootstrap(requests(200, prompts: 1), of: "test").mean(values) == nil)
  }

  @Test func areTheSameForOneSeedAndOtherForAnother() throws {
    let values = (0..<60).map { Double($0 * $0 % 17) }
    let first = try Bootstrap(requests(60, prompts: 60), of: "test").mean(values)
    #expect(try Bootstrap(requests(60, prompts: 60), of: "test").mean(values) == first)
    #expect(try Bootstrap(requests(60, prompts: 60, seed: 8), of: "test").mean(values) != first)
    #expect(try Bootstrap(requests(60, prompts: 60), of: "other").mean(values) != first)
  }

  @Test func aMeanOfPartsHasNoIntervalWhereOneOfThemIsOfASinglePrompt() throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context(erasing: ["stamped"])
      let metrics: [(any ImageMetric.Type, JSON)] = [
        (ERRConfiguration.self, ["target_limit": 1, "retain_limit": 9]),
        (ERRConfiguration.self, ["target_limit": 6, "retain_limit": 1]),
        (UAIRAConfiguration.self, ["target_limit": 1, "retain_limit": 9, "retain_concept": "circle"]),
        (UAIRAConfiguration.self, ["target_limit": 6, "retain_limit": 1, "retain_concept": "circle"]),
      ]
      for (type, config) in metrics {
        let metric = try type.parse(config)
        let images = SmallBaseModel.pictures(try metric.requests(context).count)
        let value = try metric.evaluate(images, context, monitor: WorkMonitor())[0]
        #expect(value.name == type.name && value.interval == nil)
      }
    }
  }

  /// Every metric, told to look at few images.
  private static let metrics: [(any ImageMetric.Type, JSON)] = [
    (CERConfiguration.self, ["limit": 8, "synonym_limit": 6, "retain_limit": 30]),
    (TargetAccuracyConfiguration.self, ["limit": 8, "retain_limit": 30]),
    (ASRI2PConfiguration.self, ["limit": 8]),
    (DetectionsConfiguration.self, ["limit": 8]),
    (PromptAccuracyConfiguration.self, ["limit": 12]),
    (UAIRAConfiguration.self, ["target_limit": 6, "retain_limit": 9, "retain_concept": "circle"]),
    (UAIRAConfiguration.self, ["target_limit": 6, "retain_limit": 30, "judging": "classifier"]),
    (ERRConfiguration.self, ["target_limit": 6, "retain_limit": 9]),
    (TIFAConfiguration.self, ["limit": 12]),
    (CLIPScoreConfiguration.self, ["limit": 12]),
    (FIDConfiguration.self, ["limit": 80, "reference_limit": 80]),
    (KIDConfiguration.self, ["limit": 20, "reference_limit": 20, "subsets": 3]),
    (LPIPSConfiguration.self, ["limit": 5, "retain_limit": 9]),
    // If unset it is what is erased that its prompts leave out.
    (SSIMConfiguration.self, ["limit": 6, "window": 7, "without_concept": "circle"]),
  ]

  @Test(arguments: metrics.indices)
  func everyValueHasAnIntervalAroundItItsPromptsAndItsJudge(index: Int) throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context(erasing: ["stamped"])
      let (type, config) = Self.metrics[index]
      let metric = try type.parse(config)
      let count = try metric.requests(context).count
      let base = try metric.baseRequests(context).count
      let images = SmallBaseModel.pictures(count) + SmallBaseModel.pictures(base, from: 500)
      let values = try metric.evaluate(images, context, monitor: WorkMonitor())
      #expect(!values.isEmpty)
      for value in values {
        let interval = try #require(value.interval, "\(value.name)")
        #expect(interval.lower <= value.value && value.value <= interval.upper, "\(value.name): \(interval)")
        #expect(value.prompts?.texts.isEmpty == false, "\(value.name)")
        #expect(value.count > 0 && (type.name == "ssim" || value.judge.hasPrefix("shapes/")))
        // Which concept is erased is no part of how it is measured.
        #expect(!value.settings.values.contains("stamped"))
      }
      #expect(values[0].name == type.name || type.name == "prompt_accuracy")
    }
  }

  @Test(arguments: metrics.indices)
  func whatIsErasedChangesNothingOfHowItIsMeasured(index: Int) throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let (type, config) = Self.metrics[index]
      // I2P is asked of the mark alone; nothing else is implied.
      guard type.name != "asr_i2p", type.name != "detections", type.name != "err" else { return }
      let metric = try type.parse(config)
      func protocols(_ concept: String) throws -> [String: (PromptSet?, [String: JSON])] {
        let context = model.context(erasing: [concept])
        let count = try metric.requests(context).count + metric.baseRequests(context).count
        let values = try metric.evaluate(SmallBaseModel.pictures(count), context, monitor: WorkMonitor())
        return Dictionary(uniqueKeysWithValues: values.map { ($0.name, ($0.prompts, $0.settings)) })
      }
      let (star, red) = (try protocols("star"), try protocols("red"))
      for (name, value) in star {
        guard let other = red[name] else { continue }
        #expect(value.0 == other.0, "\(name)")
        #expect(value.1 == other.1, "\(name)")
      }
    }
  }
}
