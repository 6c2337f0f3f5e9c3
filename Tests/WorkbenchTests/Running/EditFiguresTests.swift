import Configuration
import Diffusion
import Foundation
import Tensors
import Testing
import Workbench

@Suite("How much an edit changes, in its record")
struct EditFiguresTests {
  /// The elements in which two models' weights are different numbers, and all of them.
  private func differences(_ a: DiffusionModel, _ b: DiffusionModel) -> (changed: Int, count: Int) {
    var (changed, count) = (0, 0)
    for (left, right) in [(a.unetWeights, b.unetWeights), (a.textWeights, b.textWeights)] {
      for (x, y) in zip(left.tensors, right.tensors) {
        changed += zip(x.tensor.values, y.tensor.values).count { $0 != $1 }
        count += x.tensor.count
      }
    }
    return (changed, count)
  }

  /// Runs a technique and returns the figures of its edit.
  private func figures(_ bench: SmallWorkbench, _ name: String, _ config: [String: JSON]) throws -> (RunOutcome, JSON) {
    let document = try with(smallBase, "technique", ["name": .string(name), "config": .object(config)])
    let outcome = try bench.run(document)[0]
    #expect(outcome.record.error == nil)
    let stage = try #require(outcome.record.stages.first { $0.name == "edit" })
    return (outcome, try #require(stage.details))
  }

  @Test(
    "the elements that differ from the base are counted, replaced or pruned, and those that were zero already are not",
    arguments: [
      ("ssd", ["erase_concept": "a", "num_fisher_samples": 1, "dampening_coeff": 1e-2, "use_fp16": false]),
      ("post_prune", ["erase_concept": "a", "train_steps": 1, "prune_ratio": 0.3, "use_fp16": false]),
      ("uce", ["erase_concept": "a", "use_fp16": false]),
    ] as [(String, [String: JSON])])
  func weights(name: String, config: [String: JSON]) throws {
    let bench = try SmallWorkbench()
    // A third of one tensor is zero before.
    let path = bench.modelFolder + "/unet/diffusion_pytorch_model.safetensors"
    var tensors = try Weights(loading: SafetensorsFile(path)).byName
    let weight = try #require(tensors["conv_in.weight"])
    tensors["conv_in.weight"] = Tensor.make(weight.shape) { out in
      for (index, value) in weight.values.enumerated() { out[index] = index % 3 == 0 ? 0 : value }
    }
    try Safetensors.write(tensors.map { (name: $0.key, tensor: $0.value) }, to: path)

    let (outcome, figures) = try figures(bench, name, config)
    let exported = bench.folder + "/exported"
    _ = try bench.runner().export(outcome.run, to: exported)
    let base = try DiffusionModel(folder: bench.modelFolder)
    let expected = differences(base, try DiffusionModel(folder: exported))
    #expect(expected.changed > 0)
    #expect(figures["values_changed"]?.integer == expected.changed)
    #expect(figures["weights_changed"]?.number == Double(expected.changed) / Double(expected.count))
    #expect(figures["unet_float32_bytes"]?.integer == 4 * base.unetWeights.parameterCount)
  }

  @Test("no edit, and guidance while images are drawn, change no weight", arguments: ["base", "sld"])
  func nothing(name: String) throws {
    let (_, figures) = try figures(SmallWorkbench(), name, name == "base" ? [:] : ["erase_concept": "a"])
    #expect(figures["values_changed"] == 0 && figures["weights_changed"] == 0)
    #expect(figures["unet_float32_bytes"]?.integer ?? 0 > 0)
  }

  @Test("weights that are loaded are measured as those that were computed, and a cached edit says the same again")
  func loaded() throws {
    let bench = try SmallWorkbench()
    func changed(_ document: JSON) throws -> JSON? {
      try bench.run(document)[0].record.stages.first { $0.name == "edit" }?.details?["weights_changed"]
    }
    let computed = try changed(with(small, "technique.config.save_path", "w.safetensors"))
    #expect(computed?.number ?? 0 > 0)
    #expect(try changed(small) == computed)
    #expect(try changed(with(small, "technique.config.load_path", "w.safetensors")) == computed)
  }

  @Test("what an edit cost is measured where it is made, and its memory is not known where the cache answers")
  func cost() throws {
    let bench = try SmallWorkbench(judged: true)
    let document: JSON = [
      "base_model": "./models/tiny", "seed": 3, "metrics": [["name": "cost"]],
      "technique": ["name": "uce", "config": ["erase_concept": "circle"]],
    ]
    func values(_ outcome: RunOutcome) -> [String: Double] {
      Dictionary(outcome.record.metrics.compactMap { value in value.value.map { (value.name, $0) } }) { $1 }
    }
    let run = try bench.run(document)[0]
    #expect(run.record.status == .finished, "\(run.record.error ?? "")")
    let bytes = try #require(run.record.stages.first { $0.name == "edit" }?.details?["bytes"]?.number)
    #expect(values(run)["cost_bytes"] == bytes && bytes > 0)
    #expect(values(run)["cost_seconds"] ?? -1 >= 0)
    // A process of Swift's runtime and a model holds more than a megabyte, and this machine less than a terabyte.
    #expect((1e6...1e12).contains(values(run)["cost_peak_memory"] ?? 0))
    let again = try bench.run(document)[0]
    #expect(values(again)["cost_peak_memory"] == nil)
    #expect(values(again)["cost_bytes"] == bytes)
  }
}
