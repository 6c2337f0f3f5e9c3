import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

/// An autoencoder of two features on vectors of two values: each feature is one value.
private func identity(layer: String = "l", k: Int = 2, base: String? = nil) throws -> SparseAutoencoder {
  let identity = Tensor([1, 0, 0, 1], shape: [2, 2])
  return try SparseAutoencoder(
    layer: layer, k: k, base: base,
    tensors: [
      "encoder.weight": identity, "encoder.bias": Tensor.zeros([2]), "W_dec": identity, "b_dec": Tensor.zeros([2]),
    ], source: "the test")
}

@Suite struct SparseAutoencoderTests {
  @Test func keepsTheLargestOfEachVectorAndOfEqualOnesTheFirst() throws {
    let x = Tensor([3, 2, -1, 0.5, 4, 4], shape: [1, 3, 2])
    #expect(try identity(k: 1).encode(x).values == [3, 0, 0, 0.5, 4, 0])
    #expect(try identity(k: 2).encode(x).values == [3, 2, 0, 0.5, 4, 4])
    #expect(try identity(k: 1).decode(identity(k: 1).encode(x)).values == [3, 0, 0, 0.5, 4, 0])
  }

  @Test func findsTheGeometricMedian() {
    // Of three points on a line the middle one, wherever the outer ones are.
    let median = geometricMedian(Tensor([0, 0, 1, 1, 50, 50], shape: [3, 2])).values
    #expect(abs(median[0] - 1) < 1e-3 && abs(median[1] - 1) < 1e-3)
  }

  @Test func comesBackFromItsFile() throws {
    try withScratchFolder { folder in
      let path = folder + "/sae.safetensors"
      try identity(layer: "up_blocks.1.attentions.0", k: 1, base: "b0b").write(to: path)
      let read = try SparseAutoencoder(loading: path)
      #expect(read.layer == "up_blocks.1.attentions.0" && read.k == 1 && read.width == 2 && read.latents == 2)
      #expect(read.base == "b0b")
      #expect(try bits(read.decoder) == bits(identity().decoder))
      try Safetensors.write([(name: "W_dec", tensor: Tensor.zeros([2, 2]))], to: path)
      #expect(throws: ErasureError.self) { try SparseAutoencoder(loading: path) }
    }
  }

  @Test func refusesTensorsThatDoNotFit() throws {
    var tensors = try identity().tensors
    tensors["encoder.bias"] = Tensor.zeros([3])
    #expect(throws: ErasureError.self) { try SparseAutoencoder(layer: "l", k: 1, tensors: tensors, source: "a file") }
    tensors["encoder.bias"] = nil
    #expect(throws: ErasureError("a file has no tensor 'encoder.bias'")) {
      try SparseAutoencoder(layer: "l", k: 1, tensors: tensors, source: "a file")
    }
  }

  @Test func isRefusedForAnotherLayerWidthOrBaseByName() throws {
    let model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers"))
    let layer = "up_blocks.1.attentions.0"
    #expect {
      try identity(layer: layer).check(fits: layer, of: model)
    } throws: {
      "\($0)"
        == "the test is an autoencoder for vectors of width 2, and the layer '\(layer)' of this UNet has the width 16: "
        + "it was trained on another model"
    }
    #expect {
      try identity(layer: layer).check(fits: "up_blocks.1.attentions.1", of: model)
    } throws: {
      "\($0)" == "the test is an autoencoder of the layer '\(layer)', and hookpoint is 'up_blocks.1.attentions.1'"
    }
    #expect {
      try identity(layer: layer).check(fits: "up_blocks.1.atentions.0", of: model)
    } throws: { "\($0)".contains("did you mean \"\(layer)\"?") }
    let wide = try SparseAutoencoder(
      layer: layer, k: 1, base: "aaaa",
      tensors: [
        "encoder.weight": Tensor.zeros([16, 16]), "encoder.bias": Tensor.zeros([16]), "W_dec": Tensor.zeros([16, 16]),
        "b_dec": Tensor.zeros([16]),
      ], source: "a.safetensors")
    try wide.check(fits: layer, of: model)
    try wide.check(fits: layer, of: model, digest: "aaaa")
    let refusal = ErasureError("a.safetensors was trained on the base model sha256:aaaa, and this one is sha256:bbbb")
    #expect(throws: refusal) {
      try wide.check(fits: layer, of: model, digest: "bbbb")
    }
  }

  @Test func saysHowWellItExplains() throws {
    // Of the four vectors one has a negative value, which no latent can say; every latent fires.
    let vectors = Tensor([1, 0, 3, 0, 0, 2, 0, -2], shape: [4, 2])
    let fit = try identity(k: 1).fit(to: vectors)
    #expect(fit == SparseAutoencoder.Fit(unexplained: 4 / (4 + 2 + 8), deadLatents: 0))
    #expect(try identity(k: 1).fit(to: Tensor([1, 0, 3, 0], shape: [2, 2])).deadLatents == 1)
  }
}

@Suite struct SparseAutoencoderTrainingTests {
  /// Vectors that are sums of a few of some directions.
  private func vectors(_ count: Int, width: Int = 8, directions: Int = 16) -> Tensor {
    let rows = RandomStream(seed: 1, "directions").normal([directions, width])
    let strengths = Tensor(
      (0..<count).flatMap { index -> [Float] in
        var row = [Float](repeating: 0, count: directions)
        let stream = RandomStream(seed: 1, "vector").item(index)
        for (direction, strength) in zip(stream.integers(2, below: directions), stream.substream("s").uniform(2)) {
          row[direction] += 0.5 + strength
        }
        return row
      }, shape: [count, directions])
    return strengths.matmul(rows)
  }

  private func training() -> SparseAutoencoderTraining {
    var settings = SparseAutoencoderSettings()
    settings.expansionFactor = 4
    settings.k = 3
    settings.effectiveBatchSize = 64
    settings.numEpochs = 12
    settings.learningRate = 5e-3
    return SparseAutoencoderTraining(settings, seed: 5)
  }

  private func context(_ monitor: WorkMonitor = WorkMonitor(), stateFile: String? = nil) throws -> EditContext {
    EditContext(
      model: try DiffusionModel(folder: Fixtures.path("tiny-diffusers")), seed: 0, monitor: monitor,
      stateFile: stateFile)
  }

  @Test func learnsToExplainItsVectorsWithUnitRows() throws {
    let (autoencoder, losses) = try training().train(vectors(1024), context())
    #expect((losses.last ?? 1) < 0.25 * (losses.first ?? 0), "\(losses)")
    for norm in autoencoder.decoder.square().sum(axis: 1).values { #expect(abs(norm - 1) < 1e-5) }
  }

  @Test func isTheSameForAnyNumberOfThreads() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    func trained(_ count: Int) throws -> [String: Tensor] {
      Parallel.threadCount = count
      return try training().train(vectors(256), context()).autoencoder.tensors
    }
    let (one, three) = (try trained(1), try trained(3))
    for name in one.keys.sorted() { #expect(one[name].map(bits) == three[name].map(bits), "\(name)") }
  }

  @Test func goesOnAfterAnInterruptionToTheSameBytesAndStillKnowsWhatIsDead() throws {
    var training = training()
    training.settings.numEpochs = 3
    training.settings.deadFeatureThreshold = 200
    let whole = try training.train(vectors(512), context()).autoencoder
    try withScratchFolder { folder in
      var steps = 0
      let monitor = WorkMonitor(progress: { done, _ in steps = done }, isCancelled: { steps == 11 })
      #expect(throws: CancellationError.self) {
        _ = try training.train(vectors(512), context(monitor, stateFile: folder + "/state"))
      }
      let resumed = try training.train(vectors(512), context(stateFile: folder + "/state")).autoencoder
      #expect(bits(resumed.encoder) == bits(whole.encoder) && bits(resumed.decoder) == bits(whole.decoder))
    }
  }

  @Test func asksDeadLatentsToHelp() throws {
    var training = training()
    training.settings.numEpochs = 3
    training.settings.deadFeatureThreshold = 64
    let helped = try training.train(vectors(512), context())
    training.settings.auxkAlpha = 0
    let plain = try training.train(vectors(512), context())
    #expect(helped.losses != plain.losses)
  }

  @Test func refusesABatchThatCannotBeFilled() throws {
    #expect(throws: ErasureError.self) { _ = try training().train(vectors(63), context()) }
  }
}

@Suite struct FeatureSuppressionTests {
  private let layer = "mid_block.attentions.0"

  /// Hooks at the only step, of features that are told by these means.
  private func hook(
    change: [Float], threshold: [Float], halves: GuidanceHalves = .both, turnsResidual: Bool = false, k: Int = 2
  ) throws -> (Tensor) -> Tensor {
    let suppression = FeatureSuppression(
      change: Tensor(change, shape: [1, 2]), threshold: Tensor(threshold, shape: [1, 2]))
    let hooks = try suppression.intervention(identity(layer: layer, k: k), halves: halves, turnsResidual: turnsResidual)
      .hooks?(0)
    return { hooks?.transformerOutput?(layer, $0) ?? $0 }
  }

  /// Two items of two channels and one position.
  private let map = Tensor([3, -2, 1, 5], shape: [2, 2, 1, 1])

  @Test func leavesTheOutputAsItIsWhereNoFeatureIsChanged() throws {
    #expect(try bits(hook(change: [0, 0], threshold: [0, 0])(map)) == bits(map))
    #expect(try bits(hook(change: [-3, -3], threshold: [9, 9])(map)) == bits(map))
    #expect(try hook(change: [0, 0], threshold: [0, 0], turnsResidual: true)(map).values == [3, 2, 1, 5])
  }

  @Test func scalesWhatIsAboveItsMeanAndKeepsWhatTheAutoencoderDoesNotExplain() throws {
    // z = (3, 0) and (1, 5); the first feature is multiplied by -1 where it is above 2; -2 is not explained.
    #expect(try hook(change: [-2, 0], threshold: [2, 0])(map).values == [-3, -2, 1, 5])
    // Of the second item only the second feature is among the largest.
    #expect(try hook(change: [-2, 0], threshold: [0, 0], k: 1)(map).values == [-3, -2, 1, 5])
  }

  @Test func leavesTheUnconditionalHalfUntouched() throws {
    let changed = try hook(change: [-2, -2], threshold: [0, 0], halves: .conditional)(map).values
    #expect(changed == [3, -2, -1, -5])
    #expect(try hook(change: [-2, -2], threshold: [0, 0])(map).values == [-3, -2, -1, -5])
  }

  @Test func leavesOtherLayersUntouched() throws {
    let suppression = FeatureSuppression(change: Tensor([-2, -2], shape: [1, 2]), threshold: Tensor.zeros([1, 2]))
    let hooks = try suppression.intervention(identity(layer: layer), halves: .both).hooks?(0)
    #expect(hooks?.transformerOutput.map { bits($0("up_blocks.1.attentions.0", map)) } == bits(map))
  }

  @Test func isDrawnInTheStepsOfItsStatisticsAlone() throws {
    var model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers"))
    let suppression = FeatureSuppression(change: Tensor.zeros([2, 2]), threshold: Tensor.zeros([2, 2]))
    model.intervention = try suppression.intervention(identity(layer: layer), halves: .both)
    #expect(try Sampler(model, SamplerSettings(steps: 2, guidanceScale: 3)).timesteps.count == 2)
    for steps in [1, 3] {
      #expect { try Sampler(model, SamplerSettings(steps: steps, guidanceScale: 3)) } throws: {
        "\($0)" == "\(steps) steps: what is changed while images are drawn was found for 2"
      }
    }
  }

  @Test func letsGradientsThrough() throws {
    let tape = Tape()
    let watched = tape.watch(map)
    let output = try hook(change: [-2, 0], threshold: [2, 0])(watched)
    #expect(tape.gradients(of: output.sum(), for: [watched])[0].values == [-1, 1, 1, 1])
  }

  @Test func choosesTheFeaturesThatTellAConceptFromOthers() {
    let concept = Tensor([1, 5, 4, 0, 2, 2, 2, 4], shape: [2, 4])
    let others = Tensor([1, 5, 0, 4, 4, 2, 2, 2], shape: [2, 4])
    let suppression = FeatureSuppression(
      concept: concept, others: others, conceptShare: 0.25, count: .best(1), multiplier: -2)
    #expect(suppression.features == [[2], [3]])
    #expect(suppression.change.values == [0, 0, -9, 0, 0, 0, 0, -9])
    #expect(suppression.threshold.values == [1, 5, 1, 3, 3.5, 2, 2, 2.5])
  }

  @Test func choosesTheLargestMeansOfOneStepWhereThereIsNothingToTellItFrom() {
    let suppression = FeatureSuppression(
      concept: Tensor([9, 1, 2, 7], shape: [2, 2]), step: 1, count: .best(1), multiplier: -1)
    #expect(suppression.features == [[1], [1]])
    #expect(suppression.change.values == [0, -8, 0, -8] && suppression.threshold.values == [2, 7, 2, 7])
  }

  @Test func countsFeaturesByPercentile() {
    let scores = (0..<20480).map { Float(($0 * 7919) % 20480) }
    #expect([99.999, 99.995, 99.99].map { FeatureCount.percentile($0).select(scores).count } == [1, 2, 3])
  }
}

@Suite(.serialized) struct SAeUronTests {
  private let model: DiffusionModel
  private let settings: [String: JSON] = [
    "erase_concept": "a", "hookpoint": "up_blocks.1.attentions.0", "training_prompts": ["a", "b"],
    "contrast_prompts": ["b"], "expansion_factor": 2, "k": 4, "effective_batch_size": 16, "num_epochs": 2,
    "num_inference_steps": 3, "guidance_scale": 3, "top_features": 4,
  ]

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func edit(_ changes: [String: JSON] = [:]) throws -> (SAeUronConfiguration, ModelEdit) {
    let technique = try SAeUronConfiguration.parse(.object(settings.merging(changes) { $1 }))
    var estimates: [String: [String: Tensor]] = [:]
    for estimate in technique.estimates(seed: 2) {
      let needed = estimates.filter { estimate.needs.contains($0.key) }
      estimates[estimate.name] = try estimate.compute(EditContext(model: model, estimates: needed, seed: 2))
    }
    return (technique, try technique.edit(EditContext(model: model, estimates: estimates, seed: 2)))
  }

  private func draw(_ model: DiffusionModel, batchSize: Int) throws -> [UInt32] {
    var found: [UInt32] = []
    try Sampler(model, SamplerSettings(steps: 3, guidanceScale: 3)).draw(
      ["a", "b", "a b"].map { ImageRequest(prompt: $0, seed: 1) }, batchSize: batchSize
    ) { _, latents in found += bits(latents) }
    return found
  }

  @Test func changesWhatIsDrawnTheSameInAnyBatchAndOnAnyNumberOfThreads() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    Parallel.threadCount = 1
    let (technique, edit) = try edit()
    #expect(edit.replacedUNetTensors.isEmpty && edit.pruned.isEmpty)
    var edited = model
    edited.intervention = try technique.intervention(model, tensors: edit.inferenceTensors)
    let alone = try draw(edited, batchSize: 1)
    #expect(try alone != draw(model, batchSize: 1))
    Parallel.threadCount = 3
    #expect(try draw(edited, batchSize: 3) == alone)
    let again = try self.edit().1
    for (name, tensor) in edit.inferenceTensors { #expect(again.inferenceTensors[name].map(bits) == bits(tensor)) }
  }

  @Test func findsFeaturesWithoutOtherConcepts() throws {
    let (_, edit) = try edit(["contrast_prompts": nil, "num_images": 2, "feature_step": 2])
    #expect(edit.details["feature_score"] == "mean magnitude")
    #expect(edit.details["features_by_step"]?.array?.count == 3)
  }

  @Test func multiplierAndSelectionAreNoInputsOfTheEstimates() throws {
    func inputs(_ changes: [String: JSON]) throws -> [JSON] {
      try SAeUronConfiguration.parse(.object(settings.merging(changes) { $1 })).estimates(seed: 0).map(\.inputs)
    }
    let plain = try inputs([:])
    #expect(try inputs(["multiplier": -5, "top_features": 2, "halves": "both"]) == plain)
    let other = try inputs(["k": 3])
    #expect(zip(other, plain).allSatisfy { $0 != $1 })
  }

  @Test func readsAnAutoencoderThatItIsGiven() throws {
    try withScratchFolder { folder in
      let (_, trained) = try edit()
      let autoencoder = try SparseAutoencoder(
        layer: "up_blocks.1.attentions.0", k: 4, tensors: trained.inferenceTensors, source: "the test")
      try autoencoder.write(to: folder + "/sae.safetensors")
      let technique = try SAeUronConfiguration.parse(
        .object(settings.merging(["autoencoder_path": "sae.safetensors", "training_prompts": nil]) { $1 }))
      let estimate = technique.estimates(seed: 2)[0]
      #expect(estimate.files == [.named("sae.safetensors")])
      #expect(throws: ErasureError.self) { _ = try estimate.compute(EditContext(model: model, seed: 2)) }
      let found = try estimate.compute(
        EditContext(model: model, seed: 2, files: [.named("sae.safetensors"): folder + "/sae.safetensors"]))
      #expect(found["W_dec"].map(bits) == bits(autoencoder.decoder))
    }
  }

  @Test func asksForGuidance() {
    for scale in [1, 0.5] {
      #expect(throws: ConfigurationError.self) { try SAeUronConfiguration.parse(["guidance_scale": .number(scale)]) }
    }
    #expect(throws: ConfigurationError.self) { try SAeUronConfiguration.parse(["multiplier": 0]) }
    #expect(throws: ConfigurationError.self) {
      try SAeUronConfiguration.parse(["feature_step": 21, "num_inference_steps": 20])
    }
  }

  @Test func takesTheAutoencoderThatTheBaseModelDeclaresWhereNothingElseIsSaid() throws {
    let technique = try SAeUronConfiguration.parse(["erase_concept": "nudity"])
    let estimate = technique.estimates(seed: 0)[0]
    #expect(estimate.files == [.declaredAutoencoder(layer: "up_blocks.1.attentions.1")])
    #expect(throws: ErasureError.self) { _ = try estimate.compute(EditContext(model: model, seed: 0)) }
    let both = try SAeUronConfiguration.parse(["autoencoder_path": "a.safetensors", "training_prompts": ["a"]])
    #expect(both.estimates(seed: 0)[0].files == [.named("a.safetensors")])
    #expect(both.warnings.contains { $0.contains("training_prompts are not used") })
  }

  @Test func saysHowWellTheAutoencoderExplainsThatItTrained() throws {
    let fit = try edit().1.details["autoencoder_fit"]
    let unexplained = try #require(fit?["unexplained"]?.number)
    #expect(unexplained > 0 && unexplained < 1)
    #expect(fit?["dead_latents"]?.integer != nil)
  }
}
