import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct PACTests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func technique(_ more: [String: JSON] = [:]) throws -> PACConfiguration {
    let members: [String: JSON] = [
      "erase_concept": "star", "anchor_concept": "circle", "anchor_prompts": ["a circle", "a red circle"],
      "train_size": 2, "train_steps": 2, "batch_size": 2, "num_inference_steps": 2, "train_method": "xattn-strict",
    ]
    return try PACConfiguration.parse(.object(members.merging(more) { $1 }))
  }

  private func mask(_ technique: PACConfiguration) throws -> [String: Tensor] {
    var estimates: [String: [String: Tensor]] = [:]
    for estimate in technique.estimates(seed: 4) {
      estimates[estimate.name] = try estimate.compute(EditContext(model: model, estimates: estimates, seed: 4))
    }
    return try #require(estimates["mask"])
  }

  @Test func `masks that hardly moved prune nothing, and strong steps prune elements of the group alone`() throws {
    let gentle = try technique(["learning_rate": 1e-6])
    let none = try gentle.edit(EditContext(model: model, estimates: ["mask": mask(gentle)], seed: 4))
    #expect(none.pruned.isEmpty && none.replacedUNetTensors.isEmpty)
    let strong = try technique(["learning_rate": 1])
    let edit = try strong.edit(EditContext(model: model, estimates: ["mask": mask(strong)], seed: 4))
    #expect(edit.pruned.prunedCount > 0)
    #expect(edit.pruned.elements.keys.allSatisfy { $0.contains("attn2.to_k") || $0.contains("attn2.to_v") })
    #expect(edit.details["pruned_elements"]?.integer == edit.pruned.prunedCount)
    let gaps = [none, edit].map { $0.details["soft_hard_output_gap"]?.number }
    #expect(gaps.allSatisfy { $0.map { $0.isFinite && $0 >= 0 } == true })
    #expect(edit.details["share_of_gradients_below_epsilon"]?.number != nil)
  }

  @Test func `every number of threads learns the same masks`() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    Parallel.threadCount = 1
    let one = try mask(technique())
    Parallel.threadCount = 3
    let three = try mask(technique())
    #expect(one.keys.sorted() == three.keys.sorted())
    for (name, tensor) in one { #expect(three[name].map(bits) == bits(tensor), "\(name)") }
  }

  @Test func `the anchor images are those of AC, which finds them in the cache`() throws {
    let images = try #require(technique().estimates(seed: 4).first)
    let settings: JSON = [
      "erase_concept": "star", "anchor_concept": "circle", "anchor_prompts": ["a circle", "a red circle"],
      "train_size": 2, "num_inference_steps": 2,
    ]
    let shared = try #require(ACConfiguration.parse(settings).estimates(seed: 4).first)
    #expect((images.name, images.sourceFile) == (shared.name, shared.sourceFile))
    #expect(images.inputs == shared.inputs)
  }

  @Test func `the threshold is no input of the masks, and the group is`() throws {
    func inputs(_ more: [String: JSON]) throws -> [JSON] { try technique(more).estimates(seed: 1).map(\.inputs) }
    #expect(try inputs(["threshold": 0.4]) == inputs([:]))
    #expect(try inputs(["train_method": "full"]) != inputs([:]))
  }

  @Test func `a mask that is loaded needs no training, no anchor and no advice about them`() throws {
    let loading = try PACConfiguration.parse(["erase_concept": "star", "load_path": "a.mask"])
    #expect(loading.estimates(seed: 1).isEmpty && loading.warnings.isEmpty)
    #expect(throws: ConfigurationError.self) { try PACConfiguration.parse(["erase_concept": "star"]) }
    #expect(throws: ConfigurationError.self) { try PACConfiguration.parse(["load_path": "a.safetensors"]) }
  }
}
