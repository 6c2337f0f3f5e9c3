import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct MACETests {
  private let model: DiffusionModel
  private let settings: [String: JSON] = [
    "erase_concept": "star", "mapping_concept": ["shape"], "prompt_templates": ["a {}", "a red {} on white"],
    "num_inference_steps": 2, "num_images": 2, "max_train_steps": 4, "learning_rate": 0.02,
  ]

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func mace(_ changes: [String: JSON] = [:]) throws -> MACEConfiguration {
    try MACEConfiguration.parse(.object(settings.merging(changes) { $1 }))
  }

  private func estimates(_ mace: MACEConfiguration) throws -> [String: [String: Tensor]] {
    var found: [String: [String: Tensor]] = [:]
    for estimate in mace.estimates(seed: 1) {
      found[estimate.name] = try estimate.compute(EditContext(model: model, estimates: found, seed: 1))
    }
    return found
  }

  private func edit(_ mace: MACEConfiguration, _ estimates: [String: [String: Tensor]] = [:]) throws -> ModelEdit {
    try mace.edit(EditContext(model: model, estimates: estimates, seed: 1))
  }

  private var keysAndValues: [String] {
    model.unetWeights.names.filter { $0.contains("attn2.to_k") || $0.contains("attn2.to_v") }
  }

  @Test func refinementIntoTheConceptItselfChangesNothing() throws {
    let edit = try edit(mace(["mapping_concept": ["star"], "lora": false]))
    #expect(edit.replacedUNetTensors.keys.sorted() == keysAndValues)
    for (name, tensor) in edit.replacedUNetTensors {
      #expect(relativeError(tensor, try #require(model.unetWeights[name])) < 1e-5)
    }
  }

  @Test func refinementTakesTheConceptFromTheWordsBesideIt() throws {
    let edit = try edit(mace(["lora": false, "lambda_cfr": 1e-7]))
    let (old, new) = EncodedPrompt("a red star on white", model)
      .aligned(withSharedTokensOf: EncodedPrompt("a red shape on white", model))
    for (name, tensor) in edit.replacedUNetTensors {
      let before = ClosedFormEdit(Matrix(try #require(model.unetWeights[name]))), after = ClosedFormEdit(Matrix(tensor))
      let wanted = before.output(of: new)
      #expect((after.output(of: old) - wanted).norm < (before.output(of: old) - wanted).norm)
    }
  }

  @Test func fusionOfLoRAsThatChangeNothingLeavesTheRefinement() throws {
    var lora: [String: Tensor] = [:]
    for name in keysAndValues {
      let shape = try #require(model.unetWeights[name]).shape
      lora[name + ".down"] = Tensor.ones([1, shape[1]])
      lora[name + ".up"] = Tensor.zeros([shape[0], 1])
    }
    let fused = try edit(mace(), ["lora.star": lora]).replacedUNetTensors
    let refined = try edit(mace(["lora": false])).replacedUNetTensors
    for (name, tensor) in fused { #expect(relativeError(tensor, try #require(refined[name])) < 1e-5) }
    #expect(throws: ErasureError.self) { try edit(mace()) }
    #expect(throws: ErasureError.self) { try edit(mace(), ["lora.star": [:]]) }
  }

  /// The attention that the concept's token gets in a noisy latent, over all layers.
  private func attention(_ model: DiffusionModel) -> Double {
    let positions = EncodedPrompt("a star", model).positions(of: model.tokenizer.tokens("star"))
    let states = model.textEncoder([model.tokenizer.encode("a star")])
    var sum = 0.0
    var hooks = UNetHooks()
    hooks.crossAttentionProbabilities = { _, probabilities in
      let tokens = probabilities.shape[2]
      for (index, value) in probabilities.values.enumerated() where positions.contains(index % tokens) {
        sum += Double(value * value)
      }
      return probabilities
    }
    let latent = RandomStream(seed: 9, "latent").normal([1, 4, 8, 8])
    _ = model.unet(latent, timesteps: [300], encoderHiddenStates: states, hooks: hooks)
    return sum
  }

  @Test func aTrainedLoRALeavesTheConceptLessAttention() throws {
    let mace = try mace(["mapping_concept": ["star"], "max_train_steps": 16, "use_pooler": false])
    let edited = try edit(mace, estimates(mace)).applied(to: model)
    #expect(attention(edited) < 0.98 * attention(model))
  }

  @Test func isTheSameForAnyNumberOfThreads() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    let mace = try mace(["erase_concept": ["star", "ring"], "train_batch_size": 2])
    Parallel.threadCount = 1
    let one = try estimates(mace)
    Parallel.threadCount = 3
    let three = try estimates(mace)
    #expect(
      one.keys.sorted() == ["instance_latents.ring", "instance_latents.star", "lora.ring", "lora.star"])
    #expect(one.mapValues { $0.mapValues(bits) } == three.mapValues { $0.mapValues(bits) })
  }

  @Test func aLoRADependsOnItsTrainingAndNotOnFusionOrOnOtherSeeds() throws {
    func inputs(_ changes: [String: JSON], seed: UInt64 = 1) throws -> [JSON] {
      try mace(changes).estimates(seed: seed).map(\.inputs)
    }
    let kept: [String: JSON] = ["retain_prompts": ["a ring"]]
    let plain = try inputs(kept)
    #expect(try inputs(kept.merging(["fuse_preserve_scale": 1, "use_fp16": false]) { $1 }) == plain)
    #expect(try inputs(kept.merging(["rank": 2]) { $1 }) != plain)
    #expect(try inputs(kept, seed: 2) != plain)
    let images = try mace().estimates(seed: 1)
    #expect(images.map(\.needs) == [[], ["instance_latents.star"]])
    #expect(try mace(["rank": 2]).estimates(seed: 1)[0].inputs == images[0].inputs)
    #expect(try mace(["num_images": 3]).estimates(seed: 1)[0].inputs != images[0].inputs)
    #expect(try mace(["lora": false]).estimates(seed: 1).isEmpty)
  }

  @Test func stopsWhenItIsAskedTo() throws {
    let context = EditContext(model: model, seed: 0, monitor: WorkMonitor(isCancelled: { true }))
    #expect(throws: CancellationError.self) { try mace().estimates(seed: 0)[0].compute(context) }
  }

  @Test func aPhraseThatIsCutBeforeTheConceptIsRefusedBeforeAnythingIsDrawn() throws {
    let long = Array(repeating: "red", count: 40).joined(separator: " ")
    let cut = try mace(["prompt_templates": [.string("\(long) {}")]])
    #expect(throws: ErasureError.self) { try cut.check(model) }
    try mace().check(model)
    try mace(["prompt_templates": [.string("\(long) {}")], "lora": false]).check(model)
  }

  @Test func refusesSettingsThatDoNotFit() throws {
    for changes: [String: JSON] in [
      ["prompt_templates": ["a star"]], ["prompt_templates": []], ["mapping_concept": ["a", "b"]],
      ["train_preserve_scale": 1], ["lambda_cfr": 0], ["rank": 0],
    ] {
      #expect(throws: ConfigurationError.self) { try mace(changes) }
    }
    #expect(try mace(["retain_prompts": ["a"]]).warnings.count == 1)
  }

  @Test func aMaskIsWhereTheTokensAreAttendedTo() throws {
    let latent = RandomStream(seed: 4, "latent").normal([1, 4, 8, 8])
    func mask(_ threshold: Double) -> ConceptMask {
      ConceptMask(
        model, latent: latent, prompt: "a star", positions: [2], threshold: threshold,
        stream: RandomStream(seed: 4, "noise"))
    }
    let areas: [Float] = [0, 0.3, 0.6, 1].map { mask($0).values.values.reduce(0, +) }
    #expect(areas[0] == 64 && areas[3] >= 1 && areas[3] < areas[0])
    #expect(areas == areas.sorted(by: >))
    #expect(mask(0.3).values.values == mask(0.3).values.values)
    let middle = mask(0.5)
    #expect(middle.atLayer(positions: 64).values == middle.values.values)
    let coarse = middle.atLayer(positions: 16)
    #expect(coarse.shape == [1, 16, 1])
    let fine = middle.values.values
    let corners: [Float] = (0..<16).map { (position: Int) -> Float in
      let (row, column) = (position / 4 * 2, position % 4 * 2)
      return fine[row * 8 + column]
    }
    #expect(coarse.values == corners)
  }
}
