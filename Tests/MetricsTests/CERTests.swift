import Configuration
import Diffusion
import Foundation
import Metrics
import Shapes
import Tensors
import TestModels
import TestSupport
import Testing

@Suite struct CERTests {
  @Test func asksForPromptsOfTheConceptThenOfAllOthersButNeverBoth() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let cer = try configured(CERConfiguration.self, ["limit": 70, "retain_limit": 300])
      let requests = try cer.requests(model.context(erasing: ["circle"]))
      #expect(requests.count == 370)
      #expect(requests.prefix(70).allSatisfy { $0.prompt.contains("circle") && $0.seed == 7 })
      #expect(!requests.dropFirst(70).contains { $0.prompt.contains("circle") })
      // 64 prompts, and then the first ones again with other noise.
      #expect(requests[64].prompt == requests[0].prompt)
      #expect(requests[64].repetition == 1)
    }
  }

  @Test func aLargerLimitAsksForTheSameImagesAndMore() throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context(erasing: ["red"])
      let few = try configured(CERConfiguration.self, ["limit": 20, "retain_limit": 50]).requests(context)
      let many = try configured(CERConfiguration.self, ["limit": 40, "retain_limit": 90]).requests(context)
      #expect(Array(many[..<20]) == Array(few[..<20]))
      #expect(Array(many[40..<90]) == Array(few[20...]))
    }
  }

  @Test func countsWhatTheJudgeSays() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let context = model.context()
      let cer = try configured(CERConfiguration.self, ["concept_name": "circle", "limit": 12, "retain_limit": 42])
      let images = SmallBaseModel.pictures(54)
      let requests = try cer.requests(context)
      let classes = try model.judged(images)
      let values = try cer.evaluate(images, context, monitor: WorkMonitor())

      let gone = classes.prefix(12).filter { $0[0] != 0 }.count
      let headline = try #require(values.first)
      #expect(headline.name == "cer")
      #expect(headline.value == Double(gone) / 12)
      #expect((headline.unit, headline.direction, headline.count) == ("fraction", .higher, 12))
      #expect(headline.judge == "shapes/attributes")

      // Every image is asked for every concept that its prompt names.
      var accuracies: [Double] = []
      for (index, object) in ShapeObject.allCases.enumerated() where object != .circle {
        let asked = (12..<54).filter { requests[$0].prompt.contains(object.rawValue) }
        guard !asked.isEmpty else { continue }
        accuracies.append(Double(asked.filter { classes[$0][0] == index }.count) / Double(asked.count))
      }
      let mean = accuracies.reduce(0, +) / Double(accuracies.count)
      let others = try #require(values.first { $0.name == "other_accuracy" })
      #expect(abs(others.value - mean) < 1e-12)
      #expect(others.count == 42)
      #expect(
        values.map(\.name) == [
          "cer", "other_accuracy", "accuracy_object", "accuracy_colour", "accuracy_style", "accuracy_mark",
        ])
    }
  }

  @Test func theMarkIsComparedWithAllConceptsSinceItHasNoneOfItsKind() throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context(erasing: ["stamped"])
      let cer = try configured(CERConfiguration.self, ["limit": 4, "retain_limit": 42])
      let requests = try cer.requests(context)
      #expect(!requests.dropFirst(4).contains { $0.prompt.contains("stamped") })
      let values = try cer.evaluate(SmallBaseModel.pictures(46), context, monitor: WorkMonitor())
      #expect(
        values.map(\.name) == ["cer", "other_accuracy", "accuracy_object", "accuracy_colour", "accuracy_style"])
    }
  }

  @Test func everyErasedConceptIsAskedForByItsOwnPromptsAndJudgedForItselfAlone() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let settings: JSON = ["limit": 6, "synonym_limit": 2, "retain_limit": 9]
      let cer = try configured(CERConfiguration.self, settings)
      let context = model.context(erasing: ["circle", "red"])
      let requests = try cer.requests(context)
      let circle = try configured(CERConfiguration.self, settings).requests(model.context(erasing: ["circle"]))
      let red = try configured(CERConfiguration.self, settings).requests(model.context(erasing: ["red"]))
      var asked = Array(circle[..<6])
      for part in [red[..<6], circle[6..<8], red[6..<8]] { asked += part }
      #expect(Array(requests[..<16]) == asked)
      #expect(requests.count == 25)
      let words = requests[16...].flatMap { $0.prompt.split(separator: " ") }
      #expect(!words.contains("circle") && !words.contains("red"))

      let images = SmallBaseModel.pictures(25)
      let classes = try model.judged(images)
      let values = try cer.evaluate(images, context, monitor: WorkMonitor())
      #expect(values.prefix(3).map(\.name) == ["cer", "cer_synonyms", "other_accuracy"])
      #expect(values.prefix(2).map(\.count) == [12, 4])
      let colour = try #require(AttributeKind.allCases.firstIndex(of: .colour))
      let gone = (classes[..<6].filter { $0[0] != 0 }.count, classes[6..<12].filter { $0[colour] != 0 }.count)
      #expect(values[0].value == Double(gone.0 + gone.1) / 12)
      let details = try #require(values[0].details["concepts"]?.object)
      #expect(details.keys.sorted() == ["circle", "red"])
      #expect(details["circle"]?["cer"]?.number == Double(gone.0) / 6 && details["red"]?["count"]?.integer == 6)
      #expect(details["red"]?["cer"]?.number == Double(gone.1) / 6)
      let seen = try #require(details["red"]?["seen"]?.object)
      #expect(seen.values.reduce(0) { $0 + ($1.integer ?? 0) } == 6)
      // Objects and colours are of the erased ones' kinds, styles are not.
      let kept = try #require(values[2].details.object)
      #expect(kept.keys.contains("square") && !kept.keys.contains("dotted") && !kept.keys.contains("red"))
    }
  }

  @Test func theDetailsOfASingleConceptAreItsOwn() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let cer = try configured(CERConfiguration.self, ["concept_name": ["circle"], "limit": 3, "retain_limit": 1])
      let value = try cer.evaluate(SmallBaseModel.pictures(4), model.context(), monitor: WorkMonitor())[0]
      #expect(value.details["concept"] == "circle" && value.details["concepts"] == nil)
      #expect(value.details.object?.keys.sorted() == ["concept", "seen"])
    }
  }

  @Test func oneOfSeveralWithoutPromptsOrWithAnotherJudgeIsRefused() throws {
    try withScratchFolder { folder in
      var model = try SmallBaseModel(folder: folder)
      let cer = try configured(CERConfiguration.self, ["implied_limit": 2])
      expectRefusal("lethe.json has no implied_prompts of the concept \"circle\"") {
        _ = try cer.requests(model.context(erasing: ["stamped", "circle"]))
      }
      let red = try #require(model.card.concepts.firstIndex { $0.name == "red" })
      model.card.concepts[red].judge.judge = "clip"
      expectRefusal("\"circle\" has the judge \"attributes\" and \"red\" the judge \"clip\"") {
        _ = try CERConfiguration().requests(model.context(erasing: ["circle", "red"]))
      }
      expectRefusal("no concept \"cat\"") {
        _ = try CERConfiguration().requests(model.context(erasing: ["circle", "cat"]))
      }
    }
  }

  @Test func aModelWithoutACardIsRefused() {
    let context = MetricContext(modelFolder: "nowhere", card: nil, erasedConcepts: ["circle"], seed: 0)
    expectRefusal("has no lethe.json") { _ = try CERConfiguration().requests(context) }
  }

  @Test func aConceptThatTheCardDoesNotDeclareIsRefused() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      expectRefusal("cer: the base model \"shapes\" declares no concept \"cicle\"; did you mean \"circle\"?") {
        _ = try CERConfiguration().requests(model.context(erasing: ["cicle"]))
      }
      expectRefusal("no concept is named") { _ = try CERConfiguration().requests(model.context()) }
    }
  }

  @Test func aConceptOfAHeadThatTheJudgeLacksIsRefusedBeforeAnythingIsDrawn() throws {
    try withScratchFolder { folder in
      var model = try SmallBaseModel(folder: folder)
      let red = try #require(model.card.concepts.firstIndex { $0.name == "red" })
      model.card.concepts[red].judge.head = "hue"
      // Also where it is one of those that should stay.
      for erased in ["red", "star"] {
        expectRefusal("cer: the concept \"red\" of \(folder)/lethe.json is judged by class") {
          _ = try CERConfiguration().requests(model.context(erasing: [erased]))
        }
      }
    }
  }

  @Test func accuraciesSayOfEachConceptHowOftenItIsShownWhereItIsAskedFor() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let context = model.context(erasing: ["red"])
      let cer = try configured(CERConfiguration.self, ["limit": 2, "retain_limit": 30])
      let requests = try cer.requests(context).dropFirst(2)
      let images = SmallBaseModel.pictures(32)
      let classes = try model.judged(images).dropFirst(2)
      let values = try cer.evaluate(images, context, monitor: WorkMonitor())
      let styles = try #require(values.first { $0.name == "accuracy_style" })
      let head = try #require(AttributeKind.allCases.firstIndex(of: .style))
      var shares: [Double] = []
      for style in ShapeStyle.allCases {
        let asked = zip(requests, classes).filter { $0.0.prompt.contains(style.rawValue) }
        guard !asked.isEmpty else { continue }
        let right = asked.count { AttributeKind.style.classes[$0.1[head]] == style.rawValue }
        shares.append(Double(right) / Double(asked.count))
        #expect(styles.details[style.rawValue]?["count"] == .integer(asked.count))
        #expect(styles.details[style.rawValue]?["accuracy"] == .number(Double(right) / Double(asked.count)))
      }
      #expect(abs(styles.value - shares.reduce(0, +) / Double(shares.count)) < 1e-12)
      // Every prompt names a style.
      #expect(styles.details.object?.count == shares.count && styles.count == 30)
    }
  }

  @Test func aFileOfPromptsBesideAChoiceOfPromptsIsWarnedOf() throws {
    let both = try configured(CERConfiguration.self, ["prompts": "implied", "prompts_path": "prompts.csv"])
    #expect(both.warnings.count == 1 && both.warnings[0].contains("prompts is not used"))
    for config in [["prompts": "implied"], ["prompts_path": "prompts.csv"], [:]] as [JSON] {
      let one = try configured(CERConfiguration.self, config)
      #expect(one.warnings.isEmpty)
    }
  }

  @Test func aJudgeThatIsNotDeclaredOrNotThereIsRefused() throws {
    try withScratchFolder { folder in
      var model = try SmallBaseModel(folder: folder, judge: false)
      expectRefusal("judge \"attributes\" of \"shapes\" is missing") {
        _ = try CERConfiguration().judges(model.context(erasing: ["circle"]))
      }
      let other = try configured(CERConfiguration.self, ["judge": "resnet"])
      expectRefusal("declares no judge \"resnet\"; it declares attributes, clip") {
        _ = try other.judges(model.context(erasing: ["circle"]))
      }
      model.card.judges = [:]
      expectRefusal("declares no judge") { _ = try CERConfiguration().judges(model.context(erasing: ["circle"])) }
    }
  }

  @Test func aJudgeOfAnotherKindIsRefusedBeforeAnythingIsDrawn() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let cer = try configured(CERConfiguration.self, ["judge": "clip", "limit": 1, "retain_limit": 1])
      expectRefusal("the judge \"clip\" of \"shapes\" is a CLIP model, and this takes a network") {
        _ = try cer.requests(model.context(erasing: ["red"]))
      }
    }
  }

  @Test func synonymsAndWhatImpliesTheConceptAreAskedForApart() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let cer = try configured(CERConfiguration.self, ["limit": 2, "synonym_limit": 3, "retain_limit": 1])
      let context = model.context(erasing: ["circle"])
      let requests = try cer.requests(context)
      #expect(requests.count == 6)
      let synonyms = try #require(model.card.concept("circle")).synonymPrompts.map(\.text)
      #expect(requests[2..<5].allSatisfy { synonyms.contains($0.prompt) })
      let values = try cer.evaluate(SmallBaseModel.pictures(6), context, monitor: WorkMonitor())
      #expect(values.prefix(2).map(\.name) == ["cer", "cer_synonyms"])
      #expect(values.prefix(2).map(\.count) == [2, 3])
    }
  }

  @Test func imagesOfAnotherSizeAreRefused() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let cer = try configured(CERConfiguration.self, ["limit": 1, "retain_limit": 1])
      let images = SmallBaseModel.pictures(2).map { $0.enlarged(by: 2) }
      expectRefusal("reads images of 32 x 32 pixels, not of 64 x 64") {
        _ = try cer.evaluate(images, model.context(erasing: ["red"]), monitor: WorkMonitor())
      }
    }
  }

  @Test func workThatIsCancelledEnds() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let cer = try configured(CERConfiguration.self, ["limit": 2, "retain_limit": 2])
      #expect(throws: CancellationError.self) {
        try cer.evaluate(
          SmallBaseModel.pictures(4), model.context(erasing: ["red"]), monitor: WorkMonitor(isCancelled: { true }))
      }
    }
  }
}

/// Expects an error whose sentence holds `text`.
func expectRefusal(_ text: String, _ body: () throws -> Void, location: SourceLocation = #_sourceLocation) {
  do {
    try body()
    Issue.record("nothing was refused", sourceLocation: location)
  } catch {
    #expect("\(error)".contains(text), "\(error)", sourceLocation: location)
  }
}
