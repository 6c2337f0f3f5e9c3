import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite struct SkilledNeuronsTests {
  /// Two rows of four neurons, at two steps.
  private let weight = Tensor([1, -2, 0.5, 1, 3, 0.1, 0.1, 0], shape: [2, 4])
  private let target = Tensor([4, 1, 9, 1, 1, 3, 9, 1], shape: [2, 4])

  private func positions(skill: Double, select: Double, base: [Float]) -> [Int] {
    SkilledNeurons(skillRatio: skill, selectRatio: select)
      .positions(weight, target: target, base: Tensor(base, shape: [2, 4]))
  }

  @Test func takesTheHighestScoresOfARowInEnoughSteps() {
    let idle = [Float](repeating: 0, count: 8)
    // Row 0 scores 4 2 4.5 1 and 1 6 4.5 1, row 1 scores 12 .1 .9 0 and 3 .3 .9 0.
    #expect(positions(skill: 0.25, select: 0.5, base: idle) == [4])
    #expect(positions(skill: 0.25, select: 0.4, base: idle) == [1, 2, 4])
    #expect(positions(skill: 0.5, select: 0.5, base: idle) == [2, 4, 6])
    #expect(positions(skill: 0.5, select: 1, base: idle).isEmpty)
  }

  @Test func leavesWhatTheBasePromptsUseAsMuch() {
    #expect(positions(skill: 0.5, select: 0.5, base: [5, 0, 0, 0, 0, 0, 9, 0]) == [])
    #expect(positions(skill: 0.5, select: 0.4, base: [5, 0, 0, 0, 0, 0, 9, 0]) == [1, 2, 4, 6])
  }
}

@Suite(.serialized) struct ConceptPruneTests {
  private let model: DiffusionModel
  private let settings: JSON = [
    "target_prompts": ["a b", "a"], "base_prompts": ["b", ""], "skill_ratio": 0.1, "timesteps": 2,
    "num_inference_steps": 4, "guidance_scale": 3,
  ]

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func estimates() throws -> [String: [String: Tensor]] {
    var found: [String: [String: Tensor]] = [:]
    for estimate in try ConceptPruneConfiguration.parse(settings).estimates(seed: 4) {
      found[estimate.name] = try estimate.compute(EditContext(model: model, seed: 4))
    }
    return found
  }

  @Test func measuresEveryLayerAndPrunesSomeOfIt() throws {
    let found = try estimates()
    let names = try ParameterGroup.feedForwardOutput.names(in: model.unetWeights)
    let positions = 8 * 8 * 2 * 2
    for name in names {
      let norms = try #require(found["activations.target"]?[name])
      #expect(norms.shape == [2, model.unetWeights[name]?.shape[1] ?? 0])
      // Each position has norm 1, in both passes of two pictures.
      for step in 0..<2 {
        let sum = norms.slice(axis: 0, step..<step + 1).sumOfSquares
        #expect(sum > 0 && sum < Double(positions) + 0.01 && abs(sum - sum.rounded()) < 0.01)
      }
    }
    let edit = try ConceptPruneConfiguration.parse(settings).edit(EditContext(model: model, estimates: found, seed: 4))
    #expect(edit.pruned.prunedCount > 0 && edit.pruned.elements.keys.allSatisfy(names.contains))
    #expect(edit.replacedUNetTensors.isEmpty)
  }

  @Test func isTheSameForAnyNumberOfThreads() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    Parallel.threadCount = 1
    let one = try estimates()
    Parallel.threadCount = 3
    let three = try estimates()
    for (set, tensors) in one {
      for (name, tensor) in tensors { #expect(three[set]?[name].map(bits) == bits(tensor), "\(set) \(name)") }
    }
  }

  @Test func refusesARatioWithoutEffectAndPromptsThatDoNotMatch() throws {
    let technique = try ConceptPruneConfiguration.parse(["skill_ratio": 0.0001])
    #expect {
      _ = try technique.edit(
        EditContext(model: model, estimates: ["activations.target": [:], "activations.base": [:]], seed: 0))
    } throws: { "\($0)".contains("smallest ratio") }
    #expect(throws: ConfigurationError.self) { try ConceptPruneConfiguration.parse(["base_prompts": ["a", "b"]]) }
    #expect(throws: ConfigurationError.self) { try ConceptPruneConfiguration.parse(["timesteps": 51]) }
  }
}
