import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct ConceptAttributionTests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func attribution(_ objective: ConceptAttribution.Objective, seed: UInt64 = 3) -> ConceptAttribution {
    ConceptAttribution(objective: objective, prompts: ["a"], steps: 3, startGuidance: 3, seed: seed)
  }

  /// a_i / w_i is the derivative of J at the samples, which stay what they are.
  @Test(arguments: ConceptAttribution.Objective.allCases)
  func isTheWeightTimesTheDerivativeOfTheObjective(_ objective: ConceptAttribution.Objective) throws {
    let attribution = attribution(objective)
    let values = try attribution.values(model, monitor: WorkMonitor())
    let samples = try attribution.samples(model)
    let name = "mid_block.attentions.0.transformer_blocks.0.ff.net.2.weight"
    let weight = try #require(model.unetWeights[name])
    let values0 = weight.values
    let index = try #require(values0.indices.max { abs(values[name]!.values[$0]) < abs(values[name]!.values[$1]) })
    func measured(with change: Float) throws -> Double {
      var changed = values0
      changed[index] *= 1 + change
      let edited = try model.replacingUNetWeights([name: Tensor(changed, shape: weight.shape)])
      return try attribution.value(edited, at: samples)
    }
    let expected = try (measured(with: 0.1) - measured(with: -0.1)) / 0.2
    #expect(abs(Double(values[name]!.values[index]) - expected) < 0.02 * abs(expected))
  }

  @Test func isTheSameForAnyNumberOfThreads() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    Parallel.threadCount = 1
    let one = try attribution(.guidance).values(model, monitor: WorkMonitor())
    Parallel.threadCount = 3
    let three = try attribution(.guidance).values(model, monitor: WorkMonitor())
    #expect(one.count == model.unetWeights.tensors.filter { $0.tensor.rank >= 2 }.count)
    for name in one.keys.sorted() { #expect(one[name].map(bits) == three[name].map(bits), "\(name)") }
  }

  @Test(arguments: ConceptAttribution.Objective.allCases)
  func predictsTheEffectOfSmallAblations(_ objective: ConceptAttribution.Objective) throws {
    let attribution = attribution(objective)
    let values = try attribution.values(model, monitor: WorkMonitor())
    let result = try AttributionCheck(attribution, trials: 40).run(model, values: values, monitor: WorkMonitor())
    #expect(result.predicted.count == 40 && result.correlation > 0.8, "\(result.correlation)")
    // The publication's 0.01 %, as nearly as whole weights come.
    #expect(abs(result.share - 1e-4) < 0.5e-4, "\(result.weights) of \(result.total)")
  }

  @Test func pairsALatentWithTheTimestepThatComesNext() throws {
    var attribution = attribution(.guidance)
    let timesteps = try DDIMScheduler(model.architecture.scheduler).timesteps(3)
    #expect(try attribution.samples(model).map(\.timestep) == timesteps)
    let first = try attribution.samples(model)[0].latent
    attribution.pairing = .last
    let published = try attribution.samples(model)
    #expect(published.map(\.timestep) == timesteps)
    #expect(bits(published[0].latent) != bits(first))
  }

  @Test func bothDirectionsShareAnAttributionOfOneObjective() throws {
    let settings: JSON = ["objective": "guidance", "start_guidance": 3, "n_est": 2, "prompts": ["a"]]
    let erase = try CADEraseConfiguration.parse(settings).estimates(seed: 1)
    let amplify = try CADAmplifyConfiguration.parse(settings).estimates(seed: 1)
    #expect(erase.map(\.inputs) == amplify.map(\.inputs))
    #expect(erase.map(\.sourceFile) == amplify.map(\.sourceFile) && erase.map(\.name) == ["attribution"])
    let strong = try CADEraseConfiguration.parse([
      "objective": "guidance", "start_guidance": 3, "n_est": 2, "prompts": ["a"], "ablate_ratio": 0.2,
      "modules": ["attn2"],
    ])
    #expect(strong.estimates(seed: 1).map(\.inputs) == erase.map(\.inputs))
  }

  @Test func eachDirectionRemovesWhatCountsThatWay() throws {
    let settings: JSON = [
      "prompts": ["a"], "objective": "guidance", "attribution_steps": 3, "start_guidance": 3, "n_est": 1,
      "ablate_ratio": 0.06,
    ]
    let techniques: [any Technique] = [
      try CADEraseConfiguration.parse(settings), try CADAmplifyConfiguration.parse(settings),
    ]
    let values = try attribution(.guidance).values(model, monitor: WorkMonitor())
    let edits = try techniques.map {
      try $0.edit(EditContext(model: model, estimates: ["attribution": values], seed: 0))
    }
    #expect(edits.allSatisfy { $0.replacedUNetTensors.isEmpty && $0.pruned.prunedCount > 0 })
    #expect((edits[0].details["attribution_ablated"]?.number ?? 0) > 0)
    #expect((edits[1].details["attribution_ablated"]?.number ?? 0) < 0)
    #expect(edits[0].pruned.elements.keys.allSatisfy { $0.contains(".ff.") })
  }

  @Test func refusesModulesThatItDoesNotKnow() {
    let refusal = ConfigurationError(
      keyPath: "modules", "\"attn3\" is not one of its values; did you mean \"attn1\"?")
    #expect(throws: refusal) {
      try CADEraseConfiguration.parse(["modules": ["ff", "attn3"]])
    }
    #expect(throws: ConfigurationError.self) { try CADEraseConfiguration.parse(["modules": "ff"]) }
    #expect(throws: ConfigurationError.self) { try CADEraseConfiguration.parse(["modules": []]) }
  }
}

@Suite struct AttributionSelectionTests {
  private let scores: [String: Tensor] = [
    "w": Tensor([3, -1, 0, 2, 2, 5, -4, 0, 0, -2, -3, -1], shape: [3, 4])
  ]

  private func chosen(_ selection: AttributionSelection) throws -> [Int] {
    try selection.mask(scores, of: ["w"]).elements["w"] ?? []
  }

  @Test func takesTheHighestOfEachRowButNoneThatCountsAgainstTheConcept() throws {
    #expect(try chosen(AttributionSelection(.positive, ratio: 0.25)) == [0, 5])
    #expect(try chosen(AttributionSelection(.positive, ratio: 0.75)) == [0, 3, 4, 5])
  }

  @Test func takesTheMostNegativeToAmplify() throws {
    #expect(try chosen(AttributionSelection(.negative, ratio: 0.5)) == [1, 6, 9, 10])
  }

  @Test func fillsUpWithZerosWhereAskedTo() throws {
    #expect(try chosen(AttributionSelection(.positive, ratio: 0.75, takesZero: true)) == [0, 2, 3, 4, 5, 7, 8])
  }

  @Test func ranksAMatrixAsAWholeWhereAskedTo() throws {
    // Of the equal values the one at the lower position.
    #expect(try chosen(AttributionSelection(.positive, ratio: 0.25, isFlattened: true)) == [0, 3, 5])
  }

  @Test func removesNothingAtARatioOfZero() throws {
    #expect(try AttributionSelection(.positive, ratio: 0).mask(scores, of: ["w"]).isEmpty)
  }

  @Test func refusesARatioThatRemovesNothingAndNamesTheSmallestThatDoes() throws {
    #expect {
      try AttributionSelection(.positive, ratio: 0.24).mask(scores, of: ["w"])
    } throws: { error in
      "\(error)".contains("0.24") && "\(error)".contains("removes one is 0.25")
    }
    for length in 1...300 {
      let smallest = (1e6 / Double(length)).rounded(.up) / 1e6
      #expect(Int(smallest * Double(length)) == 1)
    }
  }

  @Test func findsTheLargestOfManyValuesAsSortingDoes() throws {
    let values = RandomStream(seed: 4, "values").normal([1, 5000]).mapped { ($0 * 50).rounded() / 50 }
    let sorted = values.values.enumerated().filter { $0.element > 0 }
      .sorted { $0.element == $1.element ? $0.offset < $1.offset : $0.element > $1.element }
    for count in [1, 7, 100, 2000] {
      let mask = try AttributionSelection(.positive, ratio: Double(count) / 5000 + 1e-9).mask(["w": values], of: ["w"])
      #expect(mask.elements["w"] == sorted.prefix(count).map(\.offset).sorted())
    }
  }
}
