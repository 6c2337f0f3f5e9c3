import Configuration
import Diffusion
import Erasure
import Foundation
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct ESDTests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func settings(_ change: (inout ESDSettings) -> Void = { _ in }) -> ESDSettings {
    var settings = ESDSettings()
    settings.eraseConcept = "a"
    settings.trainSteps = 2
    settings.batchSize = 2
    settings.trainMethod = .crossAttention
    change(&settings)
    return settings
  }

  private func samples(_ settings: ESDSettings) throws -> [ESDObjective.Sample] {
    try ESDObjective(model, settings, steps: 3, seed: 7).samples(0) { model }
  }

  private func trained(_ settings: ESDSettings, prunedShare: Double = 0) throws -> [String: Tensor] {
    try ESDTraining(settings, steps: 3, seed: 7, prunedShare: prunedShare).trained(EditContext(model: model, seed: 7))
  }

  private func states(_ prompt: String) -> Tensor { model.textEncoder([model.tokenizer.encode(prompt)]) }

  private func prediction(_ sample: ESDObjective.Sample, _ prompt: String) -> Tensor {
    model.unet(sample.latent, timesteps: [sample.timestep], encoderHiddenStates: states(prompt))
  }

  @Test(arguments: [(ESDSettings.Target.fromUnconditional, 0.0), (.fromConditional, 1)])
  func theTargetIsTheUnconditionalPredictionWithoutSteering(_ form: ESDSettings.Target, _ guidance: Double) throws {
    let sample = try samples(settings { ($0.target, $0.negativeGuidance) = (form, guidance) })[0]
    #expect(relativeError(sample.target, prediction(sample, "")) < 1e-5)
    #expect(bits(sample.states) == bits(states("a")))
  }

  @Test func theTwoTargetsAgreeOneApart() throws {
    let old = try samples(settings { ($0.target, $0.negativeGuidance) = (.fromUnconditional, 1.5) })
    let new = try samples(settings { ($0.target, $0.negativeGuidance) = (.fromConditional, 2.5) })
    for (old, new) in zip(old, new) {
      #expect(old.timestep == new.timestep)
      #expect(relativeError(old.target, new.target) < 1e-5)
    }
  }

  @Test func anAttributeIsErasedFromAConcept() throws {
    let sample = try samples(settings { $0.eraseFrom = "b" })[0]
    let expected = prediction(sample, "b") - (prediction(sample, "a") - prediction(sample, "")) * 2
    #expect(relativeError(sample.target, expected) < 1e-5)
    #expect(bits(sample.states) == bits(states("b")))
  }

  @Test func everySampleDrawsOneOfTheConcepts() throws {
    let objective = try ESDObjective(
      model,
      settings {
        $0.eraseConcepts = ["b"]
        $0.batchSize = 16
      }, steps: 1, seed: 7)
    let found = Set(try objective.samples(0) { model }.map { bits($0.states) })
    #expect(found == [bits(states("a")), bits(states("b"))])
  }

  @Test func theLossIsZeroWhereTheTargetIsTheModelItself() throws {
    let settings = settings { $0.negativeGuidance = 0 }
    let objective = try ESDObjective(model, settings, steps: 3, seed: 7)
    for sample in try objective.samples(0, trained: { model }) {
      #expect(objective.loss(sample, model.unet).item < 1e-10)
    }
  }

  @Test func trainsTheGroupAloneAndLowersTheLoss() throws {
    let settings = settings {
      $0.trainSteps = 12
      $0.learningRate = 1e-3
    }
    let tensors = try trained(settings)
    #expect(try tensors.keys.sorted() == ParameterGroup.crossAttention.names(in: model.unetWeights))
    let objective = try ESDObjective(model, settings, steps: 3, seed: 99)
    let edited = try model.replacingUNetWeights(tensors)
    func loss(_ unet: UNet2DConditionModel) throws -> Float {
      try objective.samples(0, trained: { model }).reduce(0) { $0 + objective.loss($1, unet).item }
    }
    #expect(try loss(edited.unet) < loss(model.unet))
  }

  @Test(arguments: ESDSettings.SampledModel.allCases)
  func isTheSameForAnyNumberOfThreads(_ sampled: ESDSettings.SampledModel) throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    let settings = settings {
      $0.sampledModel = sampled
      $0.trainSteps = 3
    }
    Parallel.threadCount = 1
    let one = try trained(settings)
    Parallel.threadCount = 3
    let three = try trained(settings)
    for (name, tensor) in one { #expect(three[name].map(bits) == bits(tensor)) }
  }

  @Test func theSampledModelMatters() throws {
    let settings = settings { $0.learningRate = 1e-2 }
    let frozen = try trained(settings)
    var other = settings
    other.sampledModel = .trained
    let own = try trained(other)
    #expect(frozen.contains { own[$0.key].map(bits) != bits($0.value) })
  }

  @Test func goesOnAfterAnInterruptionToTheSameBytes() throws {
    try withScratchFolder { folder in
      let settings = settings { $0.trainSteps = 4 }
      let training = ESDTraining(settings, steps: 3, seed: 7)
      let whole = try trained(settings)
      var steps = 0
      let stopping = WorkMonitor(progress: { done, _ in steps = done }, isCancelled: { steps == 2 })
      let state = folder + "/state.safetensors"
      #expect(throws: CancellationError.self) {
        _ = try training.trained(EditContext(model: model, seed: 7, monitor: stopping, stateFile: state))
      }
      let resumed = try training.trained(EditContext(model: model, seed: 7, stateFile: state))
      for (name, tensor) in whole { #expect(resumed[name].map(bits) == bits(tensor)) }
    }
  }

  @Test func handsOnTheEstimateThatOthersShare() throws {
    let json: JSON = ["erase_concept": "a", "train_steps": 1, "train_method": "xattn", "num_inference_steps": 2]
    let esd = try ESDConfiguration.parse(json)
    let estimate = try #require(esd.estimates(seed: 1).first)
    let tensors = try estimate.compute(EditContext(model: model, seed: 1))
    let edit = try esd.edit(EditContext(model: model, estimates: ["esd": tensors], seed: 1))
    #expect(edit.replacedUNetTensors.keys.sorted() == tensors.keys.sorted())
    #expect((edit.details["relative_change"]?.number ?? 0) > 0)
    for other in [
      try PostPruneConfiguration.parse(json).estimates(seed: 1)[0],
      try NPESDConfiguration.parse(json).estimates(seed: 1)[0],
    ] {
      #expect(other.name == estimate.name && other.inputs == estimate.inputs)
      #expect(other.sourceFile == estimate.sourceFile)
    }
    #expect(try PrePruneConfiguration.parse(json).estimates(seed: 1)[0].inputs != estimate.inputs)
    let loading: JSON = ["load_path": "w.safetensors"]
    #expect(try ESDConfiguration.parse(loading).estimates(seed: 1).isEmpty)
    #expect(try PrePruneConfiguration.parse(loading).estimates(seed: 1).isEmpty)
    #expect(try PostPruneConfiguration.parse(loading).estimates(seed: 1).isEmpty)
    // Weights cannot hold the channels that NP-ESD sets to zero while images are drawn.
    #expect(throws: ConfigurationError.self) { try NPESDConfiguration.parse(loading) }
  }

  @Test func refusesWhatDoesNotFit() throws {
    #expect(throws: ConfigurationError.self) {
      try ESDConfiguration.parse(["erase_from": "b", "target_form": "2023"])
    }
    #expect(throws: ConfigurationError.self) { try ESDConfiguration.parse(["train_method": "esd-y"]) }
    #expect(throws: ConfigurationError.self) { try ESDConfiguration.parse(["erase_concepts": []]) }
    #expect(try ESDConfiguration.parse(["negative_guidance": 1]).warnings.count == 1)
    #expect(try ESDConfiguration.parse([:]).warnings.isEmpty)
  }

  // MARK: Pruning before and after

  @Test func prePruneKeepsPrunedWeightsAtZero() throws {
    let json: JSON = [
      "erase_concept": "a", "train_steps": 2, "learning_rate": 0.01, "prune_ratio": 0.3, "num_inference_steps": 2,
    ]
    let technique = try PrePruneConfiguration.parse(json)
    let tensors = try technique.estimates(seed: 1)[0].compute(EditContext(model: model, seed: 1))
    let mask = PruningMask.smallest(share: 0.3, of: model.unetWeights)
    var checked = 0
    for (name, positions) in mask.elements {
      guard let values = tensors[name]?.values else { continue }
      #expect(positions.allSatisfy { values[$0] == 0 })
      #expect(values.indices.contains { values[$0] != model.unetWeights[name]?.values[$0] })
      checked += positions.count
    }
    #expect(checked > 0)
    let edit = try technique.edit(EditContext(model: model, estimates: ["esd.pruned": tensors], seed: 1))
    #expect(edit.pruned == mask)
  }

  @Test func postPruneTakesTheSmallestOfTheErasedModel() throws {
    let technique = try PostPruneConfiguration.parse(["erase_concept": "a", "prune_ratio": 0.2])
    let trained = ["conv_in.weight": Tensor.zeros([8, 4, 3, 3])]
    let edit = try technique.edit(EditContext(model: model, estimates: ["esd": trained], seed: 1))
    #expect(edit.pruned.elements["conv_in.weight"]?.count == 8 * 4 * 9)
    let prunable = model.unetWeights.tensors.filter { $0.tensor.rank > 1 }.reduce(0) { $0 + $1.tensor.count }
    #expect(edit.pruned.prunedCount == Int(Double(prunable) * 0.2))
  }

  @Test func globalPruningTakesTheSmallestMagnitudes() {
    let weights = Weights(
      [
        "a": Tensor([3, -1, 0.5, -0.25], shape: [2, 2]), "b": Tensor([1, 1, -4, 0.1], shape: [4, 1]),
        "c": Tensor([0], shape: [1]),
      ], source: "test")
    #expect(PruningMask.smallest(share: 0, of: weights).isEmpty)
    // In order: b3 .1, a3 .25, a2 .5, then -1 and 1 and 1 in the order of their places.
    #expect(PruningMask.smallest(share: 0.375, of: weights).elements == ["a": [2, 3], "b": [3]])
    #expect(PruningMask.smallest(share: 0.5, of: weights).elements == ["a": [1, 2, 3], "b": [3]])
    #expect(PruningMask.smallest(share: 0.625, of: weights).elements == ["a": [1, 2, 3], "b": [0, 3]])
    #expect(PruningMask.smallest(share: 1, of: weights).prunedCount == 8)
  }
}
