import Configuration
import Diffusion
import Foundation
import Metrics
import Shapes
import Tensors
import TestModels
import TestSupport
import Testing

/// What the metrics that look for concepts count, against what the judge says of the same images.
@Suite struct ConceptMetricTests {
  /// For each image the probability of the class under its head.
  private func probabilities(_ folder: String, _ images: [RGBImage], head: Int, index: Int) throws -> [Double] {
    let judge = try JudgeNetwork.load(folder: folder + "/judges/attributes")
    let scores = judge.logits(features: judge.features(RGBImage.batch(images)))[head]
    return images.indices.map { image in
      let row = scores.values[image * scores.shape[1]..<(image + 1) * scores.shape[1]].map { exp(Double($0)) }
      return row[index] / row.reduce(0, +)
    }
  }

  @Test func asrCountsImagesOfImplyingPromptsAboveTheThreshold() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let images = SmallBaseModel.pictures(50)
      let found = try probabilities(folder, images, head: 4, index: 1)
      // A threshold in the middle of what there is, so that it decides.
      let threshold = found.sorted()[20] + 1e-4
      let asr: any ImageMetric = try configured(
        ASRI2PConfiguration.self, ["limit": 50, "threshold": .number(threshold)])
      let context = model.context(erasing: ["stamped"])
      let implied = try #require(model.card.concept("stamped")).impliedPrompts.map(\.text)
      #expect(try asr.requests(context).map(\.prompt) == (0..<50).map { implied[$0 % implied.count] })
      let value = try asr.evaluate(images, context, monitor: WorkMonitor())[0]
      let flagged = found.count { $0 > threshold }
      #expect(value.value == Double(flagged) / 50)
      #expect(flagged > 0 && flagged < 50)
      #expect((value.name, value.direction, value.count) == ("asr_i2p", .lower, 50))
      #expect(value.details["flagged"] == .integer(flagged))
      #expect(value.settings == ["threshold": .number(threshold)])
      #expect(value.prompts == PromptSet("implied prompts", implied))
    }
  }

  @Test func aConceptThatNothingImpliesIsRefusedWithFileAndKey() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      expectRefusal(
        "asr_i2p: \(folder)/lethe.json has no implied_prompts of the concept \"star\"; it has them of \"stamped\""
      ) { _ = try ASRI2PConfiguration().requests(model.context(erasing: ["star"])) }
    }
  }

  @Test func theModelThatP4DSearchesOnIsPartOfHowItsRateIsMeasured() throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context(erasing: ["stamped"])
      func settings(_ type: any ImageMetric.Type, _ config: JSON) throws -> [String: JSON] {
        let metric = try type.parse(config)
        return try metric.evaluate(SmallBaseModel.pictures(2), context, monitor: WorkMonitor())[0].settings
      }
      let edited = try settings(ASRP4DConfiguration.self, [:])
      #expect(edited == ["threshold": 0.45, "erase_id": "custom"])
      let base = try settings(ASRP4DConfiguration.self, ["erase_id": "std"])
      #expect(base == ["threshold": 0.45, "erase_id": "std"])
      let other = try settings(ASRRingABellConfiguration.self, [:])
      #expect(other == ["threshold": 0.5])
    }
  }

  @Test func targetAccuracyIsTheComplementOfErasure() throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context(erasing: ["circle"])
      let images = SmallBaseModel.pictures(62)
      let accuracy = try configured(TargetAccuracyConfiguration.self, ["limit": 20, "retain_limit": 42])
      let cer = try configured(CERConfiguration.self, ["limit": 20, "retain_limit": 42])
      #expect(try accuracy.requests(context).prefix(20) == cer.requests(context).prefix(20))
      let values = try accuracy.evaluate(images, context, monitor: WorkMonitor())
      let erased = try cer.evaluate(images, context, monitor: WorkMonitor())[0].value
      #expect(values.map(\.name) == ["accuracy", "accuracy_others"])
      #expect(abs(values[0].value + erased - 1) < 1e-12)
      #expect(values.map(\.direction) == [.lower, .higher])
      // Each of the nine other objects counts alike.
      let others = try #require(values[1].details.object)
      #expect(others.count == 9)
      let mean = others.values.reduce(0) { $0 + ($1["accuracy"]?.number ?? .nan) } / 9
      #expect(abs(values[1].value - mean) < 1e-12)
    }
  }

  @Test func detectionsAddUpOverClasses() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let images = SmallBaseModel.pictures(40)
      let config: JSON = ["concept_name": "stamped", "classes": ["stamped", "circle"], "limit": 40, "threshold": 0.1]
      let detections = try configured(DetectionsConfiguration.self, config)
      let values = try detections.evaluate(images, model.context(), monitor: WorkMonitor())
      #expect(values.map(\.name) == ["detections", "detections_stamped", "detections_circle"])
      let stamped = try probabilities(folder, images, head: 4, index: 1).count { $0 > 0.1 }
      let circles = try probabilities(folder, images, head: 0, index: 0).count { $0 > 0.1 }
      #expect(values.map(\.value) == [stamped + circles, stamped, circles].map(Double.init))
      #expect(values[0].details["classes"] == ["stamped", "circle"])
      #expect(values[0].details["threshold"] == 0.1)
      // Nothing implies a circle, so its own prompts are drawn.
      let circle = try configured(DetectionsConfiguration.self, ["concept_name": "circle", "limit": 4])
      #expect(try circle.requests(model.context()).allSatisfy { $0.prompt.contains("circle") })
    }
  }

  @Test func tifaAsksForEveryConceptOfACaptionAndForTheMarkAlways() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let tifa = try configured(TIFAConfiguration.self, ["limit": 30])
      let images = SmallBaseModel.pictures(30)
      let classes = try model.judged(images)
      let captions = try #require(model.card.promptSets["general"])
      var (asked, right, macro) = (0, 0, 0.0)
      for (caption, found) in zip(captions, classes) {
        var (own, good) = (0, 0)
        for concept in model.card.concepts {
          let head = try #require(AttributeKind.allCases.firstIndex { $0.rawValue == concept.judge.head })
          let isThere = caption.concepts.contains(concept.name)
          guard isThere || concept.kind == "mark" else { continue }
          own += 1
          if (found[head] == concept.judge.classIndex) == isThere { good += 1 }
        }
        (asked, right, macro) = (asked + own, right + good, macro + Double(good) / Double(own))
      }
      let values = try tifa.evaluate(images, model.context(), monitor: WorkMonitor())
      #expect(values.map(\.name) == ["tifa", "tifa_macro"])
      #expect(abs(values[0].value - Double(right) / Double(asked)) < 1e-12)
      #expect(abs(values[1].value - macro / 30) < 1e-12)
      #expect(values[0].details["questions"] == .integer(asked))
    }
  }

  // MARK: UA and IRA

  @Test func theClassifierGivesUnlearningInDomainAndCrossDomainAccuracy() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let context = model.context(erasing: ["striped"])
      let metric = try configured(
        UAIRAConfiguration.self, ["judging": "classifier", "target_limit": 20, "retain_limit": 40])
      let images = SmallBaseModel.pictures(60)
      let classes = try model.judged(images)
      let requests = try metric.requests(context)
      let values = try metric.evaluate(images, context, monitor: WorkMonitor())
      #expect(values.map(\.name) == ["ua_ira", "ua", "ira", "cra"])
      let gone = classes.prefix(20).count { $0[2] != 1 }
      #expect(values[1].value == Double(gone) / 20)
      func mean(_ kind: String, _ head: Int) -> Double {
        let shares = model.card.concepts.filter { $0.kind == kind && $0.name != "striped" }.compactMap { concept in
          let own = (20..<60).filter { index in
            let all = model.card.concepts.flatMap(\.prompts)
            return all.first { $0.text == requests[index].prompt }?.concepts.contains(concept.name) == true
          }
          return own.isEmpty
            ? nil : Double(own.count { classes[$0][head] == concept.judge.classIndex }) / Double(own.count)
        }
        return shares.reduce(0, +) / Double(shares.count)
      }
      #expect(abs(values[2].value - mean("style", 2)) < 1e-12)
      #expect(abs(values[0].value - (values[1].value + values[2].value) / 2) < 1e-12)
      #expect(values[3].details["circle"] != nil && values[3].details["dotted"] == nil)
    }
  }

  @Test func accuraciesCountTheImagesThatHaveAnAnswerForThem() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      try "prompt,concepts\na picture,red\na photo,red; circle\nan image,\n".write(
        toFile: folder + "/retain.csv", atomically: true, encoding: .utf8)
      var context = model.context(erasing: ["star"])
      context.folder = folder
      func metric(_ limit: Int) throws -> UAIRAConfiguration {
        try configured(
          UAIRAConfiguration.self,
          [
            "judging": "classifier", "target_limit": 2, "retain_limit": .integer(limit),
            "retain_prompts_path": "retain.csv",
          ])
      }
      let values = try metric(3).evaluate(SmallBaseModel.pictures(5), context, monitor: WorkMonitor())
      #expect(values.map(\.name) == ["ua_ira", "ua", "ira", "cra"])
      #expect(values.map(\.count) == [3, 2, 1, 2])
      expectRefusal(
        "ua_ira: none of the first 1 retained prompts (retain_limit) names another concept of the kind \"object\""
      ) { _ = try metric(1).requests(context) }
    }
  }

  @Test func whatIsRetainedIsNotTheTarget() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      for judging in ["two_way_clip", "classifier"] as [JSON] {
        let metric = try configured(UAIRAConfiguration.self, ["retain_concept": "star", "judging": judging])
        expectRefusal("ua_ira: retain_concept is \"star\", the target itself") {
          _ = try metric.requests(model.context(erasing: ["star"]))
        }
      }
    }
  }

  @Test func twoWayCLIPComparesTwoTextsOverPromptsOfFiles() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      try "prompt\n\"a star, red\"\na blue star\n".write(
        toFile: folder + "/target.csv", atomically: true, encoding: .utf8)
      try "id,prompt\n1,a person\n2,a photo\n3,a picture\n".write(
        toFile: folder + "/retain.csv", atomically: true, encoding: .utf8)
      let metric = try configured(
        UAIRAConfiguration.self,
        [
          "target_concept": "star", "retain_concept": "person", "target_prompts_path": "target.csv",
          "retain_prompts_path": "retain.csv", "target_limit": 5, "retain_limit": 3,
        ])
      var context = model.context()
      context.folder = folder
      let requests = try metric.requests(context)
      #expect(requests.map(\.prompt).prefix(3) == ["a star, red", "a blue star", "a star, red"])
      #expect(requests.suffix(3).map(\.prompt) == ["a person", "a photo", "a picture"])
      let images = SmallBaseModel.pictures(8)
      let values = try metric.evaluate(images, context, monitor: WorkMonitor())
      let clip = try CLIPModel(folder: folder + "/judges/clip")
      let tokenizer = try CLIPTokenizer(folder: folder + "/tokenizer")
      let texts = clip.textFeatures(["Image of person", "Image of star"].map { tokenizer.encode($0) }).normalizedRows()
      let places = clip.imageFeatures(RGBImage.batch(images)).normalizedRows()
      let width = texts.shape[1]
      let kept = images.indices.map { image in
        let cosines = (0..<2).map { text in
          (0..<width).reduce(Float(0)) { $0 + places.values[image * width + $1] * texts.values[text * width + $1] }
        }
        return cosines[0] > cosines[1]
      }
      #expect(values.map(\.name) == ["ua_ira", "ua", "ira"])
      #expect(values[1].value == Double(kept.prefix(5).count { $0 }) / 5)
      #expect(values[2].value == Double(kept.suffix(3).count { $0 }) / 3)
      #expect(values[1].prompts == PromptSet("file", ["a star, red", "a blue star"]))
    }
  }

  @Test func filesOfPromptsAreRefusedByFileLineAndColumn() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let path = folder + "/prompts.csv"
      func refused(_ text: String, _ sentence: String, judging: String = "two_way_clip") throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        let metric = try configured(
          UAIRAConfiguration.self,
          [
            "target_concept": "star", "retain_concept": "circle", "retain_prompts_path": .string(path),
            "judging": .string(judging),
          ])
        expectRefusal(sentence) { _ = try metric.requests(model.context()) }
      }
      try refused(
        "promt\na star\n",
        "ua_ira: retain_prompts_path: \(path):1: the first line is the header and names no column \"prompt\", only "
          + "\"promt\"")
      try refused("prompt\n", "there is a header and no row under it")
      try refused("prompt\na star\n\" \"\n", "\(path):3: the prompt is empty")
      let long = Array(repeating: "star", count: 40).joined(separator: " ")
      try refused(
        "prompt\na star\n\(long)\n",
        "ua_ira: retain_prompts_path: \(path):3: the prompt has 40 tokens, and the text encoder of \(folder) reads 30")
      try refused("prompt\na\n", "names no column \"concepts\"", judging: "classifier")
      try refused(
        "prompt,concepts\na star,red; crcle\n",
        "\(path):2: the base model \"shapes\" declares no concept \"crcle\"; did you mean \"circle\"?",
        judging: "classifier")
    }
  }

  // MARK: ERR

  @Test func errIsTheHarmonicMeanOfItsParts() throws {
    for row in try #require(JSON.read(Fixtures.path("metrics.json"))["harmonic_mean"]?.array) {
      let values = (row[0]?.array ?? []).compactMap(\.number)
      let expected = try #require(row[1]?.number)
      #expect(abs(harmonicMean(values) - expected) < 1e-12)
    }
    #expect(harmonicMean([]) == 0)
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      try "adversarial_prompt\nofficial q\nsecret z\n".write(
        toFile: folder + "/adversarial.csv", atomically: true, encoding: .utf8)
      var context = model.context(erasing: ["stamped"])
      context.folder = folder
      let config: JSON = ["target_limit": 10, "retain_limit": 8, "adversarial_limit": 6]
      let without = try configured(ERRConfiguration.self, config)
      let with = try configured(
        ERRConfiguration.self, try config.setting("adversarial_prompts_path", to: "adversarial.csv"))
      #expect(try without.requests(context).count == 18)
      let adversarial = try with.requests(context).suffix(6)
      #expect(adversarial.map(\.prompt) == (0..<6).map { ["official q", "secret z"][$0 % 2] })
      for (metric, count) in [(without, 18), (with, 24)] {
        let values = try metric.evaluate(SmallBaseModel.pictures(count), context, monitor: WorkMonitor())
        #expect(values.count == (count == 18 ? 3 : 4))
        #expect(abs(values[0].value - harmonicMean(values.dropFirst().map(\.value))) < 1e-12)
        #expect(values.dropFirst().map(\.count) == (count == 18 ? [10, 8] : [10, 8, 6]))
      }
    }
  }

  @Test func errAsksWhomItIsToldToAskAboutRetention() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let context = model.context(erasing: ["stamped"])
      let images = SmallBaseModel.pictures(46)
      let config: JSON = ["target_limit": 4, "retain_limit": 42]
      let err = try configured(ERRConfiguration.self, config)
      let values = try err.evaluate(images, context, monitor: WorkMonitor())
      // The twenty-one other concepts in turn.
      let others = model.card.concepts.filter { $0.name != "stamped" }
      let right = try model.judged(images).dropFirst(4).enumerated().count { index, found in
        let concept = others[index % others.count]
        return found[AttributeKind.allCases.map(\.rawValue).firstIndex(of: concept.judge.head) ?? 0]
          == concept.judge.classIndex
      }
      #expect(values[2].name == "err_retention" && values[2].value == Double(right) / 42)
      #expect(try err.judges(context) == [folder + "/judges/attributes"])
      let clip = try configured(ERRConfiguration.self, try config.setting("retention_judging", to: "two_way_clip"))
      #expect(try clip.judges(context).contains(folder + "/judges/clip"))
      let compared = try clip.evaluate(images, context, monitor: WorkMonitor())
      #expect(compared[2].judge == "shapes/clip" && compared[0].judge == "shapes/attributes and shapes/clip")
      #expect(compared[2].settings != values[2].settings)
    }
  }

  @Test func errRefusesAConceptThatTheTechniqueDoesNotErase() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let err = try configured(ERRConfiguration.self, ["concept_name": "star"])
      expectRefusal("err: concept is \"star\", and the technique erases \"circle\"") {
        _ = try err.requests(model.context(erasing: ["circle"]))
      }
      #expect(try err.requests(model.context()).count == 70)
    }
  }

  // MARK: Refusals

  private static let all: [any ImageMetric] = [
    TargetAccuracyConfiguration(), ASRI2PConfiguration(), DetectionsConfiguration(), UAIRAConfiguration(),
    ERRConfiguration(), LPIPSConfiguration(), CERConfiguration(),
  ]

  @Test(arguments: all.indices)
  func aConceptThatTheCardLacksIsRefused(index: Int) throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let metric = Self.all[index]
      expectRefusal("\(type(of: metric).name): the base model \"shapes\" declares no concept \"cat\"") {
        _ = try metric.requests(model.context(erasing: ["cat"]))
      }
      expectRefusal("no concept is named") { _ = try metric.requests(model.context()) }
    }
  }

  @Test func ofSeveralErasedConceptsTheMetricMustSayWhichItAsksAbout() throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context(erasing: ["star", "stamped"])
      expectRefusal(
        "asr_i2p: it asks about one concept, and \"star\" and \"stamped\" are erased; concept_name says which"
      ) { _ = try ASRI2PConfiguration().requests(context) }
      let asr = try configured(ASRI2PConfiguration.self, ["concept_name": "stamped", "limit": 3])
      #expect(try asr.requests(context).count == 3)
      let accuracy = try configured(TargetAccuracyConfiguration.self, ["concept_name": "circle", "retain_limit": 40])
      // What is erased besides is not held against the edit.
      #expect(!(try accuracy.requests(context).dropFirst(500).contains { $0.prompt.contains("star") }))
    }
  }

  @Test(arguments: all.indices)
  func aModelWithoutACardIsToldWhichFileItLacks(index: Int) {
    let context = MetricContext(modelFolder: "models/sd", card: nil, erasedConcepts: ["cat"], seed: 0)
    expectRefusal("the base model models/sd has no lethe.json, which would name its concepts, prompts and judges") {
      _ = try Self.all[index].requests(context)
    }
  }

  @Test func anEmptyPromptSetIsRefused() throws {
    try withScratchFolder { folder in
      var model = try SmallBaseModel(folder: folder)
      model.card.promptSets["general"] = []
      let metrics: [any ImageMetric] = [
        TIFAConfiguration(), KIDConfiguration(), FIDConfiguration(), CLIPScoreConfiguration(),
      ]
      for metric in metrics {
        let name = type(of: metric).name
        expectRefusal("\(name): the base model \"shapes\" declares no prompts under prompt_sets.general") {
          _ = try metric.requests(model.context())
        }
      }
    }
  }

  @Test func aCardWithoutConceptsHasNoJudgeOfThem() throws {
    try withScratchFolder { folder in
      var model = try SmallBaseModel(folder: folder)
      model.card.concepts = []
      let metrics: [any ImageMetric] = [
        PromptAccuracyConfiguration(), TIFAConfiguration(), KIDConfiguration(), FIDConfiguration(),
      ]
      for metric in metrics {
        let name = type(of: metric).name
        expectRefusal("\(name): the base model \"shapes\" declares no concepts and so no judge of them; name one") {
          _ = try metric.judges(model.context())
        }
      }
      let named = try configured(PromptAccuracyConfiguration.self, ["judge": "attributes"])
      #expect(try named.judges(model.context()) == [folder + "/judges/attributes"])
    }
  }

  @Test func judgeWeightsOfAnotherShapeAreRefusedByFileAndName() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let path = folder + "/judges/attributes/model.safetensors"
      let tensors = try Weights(loading: SafetensorsFile(path)).tensors.map { name, tensor in
        (name: name, tensor: name == "hidden.bias" ? Tensor.zeros([63]) : tensor)
      }
      try Safetensors.write(tensors, to: path)
      let asr: any ImageMetric = try configured(ASRI2PConfiguration.self, ["limit": 2])
      expectRefusal("hidden.bias") {
        _ = try asr.evaluate(SmallBaseModel.pictures(2), model.context(erasing: ["stamped"]), monitor: WorkMonitor())
      }
    }
  }
}
