import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct SurgicalTests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func technique(_ more: [String: JSON]) throws -> SurgicalConfiguration {
    let settings: [String: JSON] = [
      "erase_concept": "star", "erase_prompts": ["a star"], "sampling_steps": 4, "train_steps": 2, "batch_size": 2,
      "learning_rate": 1e-3, "gamma_1": 3, "gamma_2": 3,
    ]
    return try SurgicalConfiguration.parse(.object(settings.merging(more) { $1 }))
  }

  private func normal(_ name: String, _ shape: [Int] = [1, 4, 8, 8]) -> Tensor {
    RandomStream(seed: 6, name).normal(shape)
  }

  @Test func `the frozen model has nothing to learn where the concept replaces itself`() throws {
    let technique = try technique(["erasing_signal": "replacement", "replacement_concept": "star"])
    let teacher = try technique.teacher(of: "a star", model)
    for item in 0..<4 {
      let lesson = try teacher.lesson(RandomStream(seed: 1, "lesson").item(item))
      #expect(technique.loss(of: model.unet, on: lesson).item < 1e-9)
    }
    let other = try self.technique(["erasing_signal": "replacement", "replacement_concept": "circle"])
    let lesson = try other.teacher(of: "a star", model).lesson(RandomStream(seed: 1, "lesson"))
    #expect(other.loss(of: model.unet, on: lesson).item > 1e-9)
  }

  @Test func `the explicit signal keeps the largest five percent of each channel`() {
    let change = normal("change", [2, 3, 10, 10])
    var concept = InstructionConcept()
    concept.guidance = -7.5
    let signal = concept.signal(change)
    for map in 0..<6 {
      let range = map * 100..<(map + 1) * 100
      let (given, found) = (Array(change.values[range]), Array(signal.values[range]))
      let kept = found.indices.filter { found[$0] != 0 }
      #expect(kept.count == 5)
      #expect(kept.allSatisfy { found[$0] == -7.5 * given[$0] })
      let smallest = kept.map { abs(given[$0]) }.min() ?? 0
      #expect(given.indices.allSatisfy { kept.contains($0) || abs(given[$0]) <= smallest })
    }
  }

  @Test func `quantiles lie between order statistics as NumPy has them`() {
    #expect(quantile([4, 1, 3, 2], 0.5) == 2.5)
    #expect(quantile([4, 1, 3, 2], 0) == 1 && quantile([4, 1, 3, 2], 1) == 4)
    #expect(abs(quantile([0, 10], 0.95) - 9.5) < 1e-6)
  }

  @Test func `instruction concepts count inside their window and after the warm-up`() {
    let concept = InstructionConcept()
    func active(elapsed: Bool) -> [Int] {
      let windows = ErasingSignal.Windows(steps: 35, warmup: 5, countsElapsed: elapsed)
      return (0..<35).filter { windows.isActive(concept, step: $0) }
    }
    // The countdown 35 - step is at least floor(0.35 * 35) = 12 up to step 23.
    #expect(active(elapsed: true) == Array(5...23))
    #expect(active(elapsed: false) == Array(0...23))
  }

  @Test func `outside the window there is the guidance of the prompt alone`() {
    let signal = ErasingSignal(
      .explicit([InstructionConcept()], .init(steps: 10, warmup: 2, countsElapsed: true)), scale: 4)
    let (empty, prompt, concept) = (normal("∅"), normal("c"), normal("c''"))
    func direction(_ step: Int) -> Tensor {
      signal.direction(step: step, unconditional: empty, conditional: prompt, concepts: [concept])
    }
    let plain = (prompt - empty) * 4
    #expect(bits(direction(1)) == bits(plain) && bits(direction(9)) == bits(plain))
    #expect(bits(direction(3)) == bits(plain + InstructionConcept().signal(concept - empty)))
  }

  @Test func `weakened attention is the prompt's own at a factor of one, and another at zero`() throws {
    func lesson(_ factor: JSON) throws -> SurgicalTeacher.Lesson {
      try technique(["erasing_signal": "implicit", "attention_factor": factor]).teacher(of: "a star", model)
        .lesson(RandomStream(seed: 3, "lesson"))
    }
    let plain = try technique(["erasing_signal": "replacement", "replacement_concept": "star"])
      .teacher(of: "a star", model).lesson(RandomStream(seed: 3, "lesson"))
    #expect(relativeError(try lesson(1).direction, plain.direction) < 1e-3)
    #expect(relativeError(try lesson(0).direction, plain.direction) > 1e-2)
  }

  /// The gradient of the concept's loss is that of a loss in which the student's ε(∅) is a number.
  @Test func `without a penalty no gradient flows through the prediction without a prompt`() throws {
    let technique = try technique(["erasing_signal": "replacement", "replacement_concept": "circle", "lambda": 0])
    let lesson = try technique.teacher(of: "a star", model).lesson(RandomStream(seed: 3, "lesson"))
    let name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0.weight"
    func gradient(_ loss: (UNet2DConditionModel) -> Tensor) throws -> Tensor {
      let tape = Tape()
      let weight = tape.watch(try #require(model.unetWeights[name]))
      let unet = try UNet2DConditionModel(model.unet.config, model.unetWeights.replacing([name: weight]))
      return tape.gradients(of: loss(unet), for: [weight])[0]
    }
    let expected = try gradient { unet in
      let states = lesson.states.slice(axis: 0, 1..<2)
      let predicted = unet(lesson.latent, timesteps: [lesson.timestep], encoderHiddenStates: states)
      return mseLoss((predicted - lesson.unconditional) * 3, lesson.direction)
    }
    #expect(relativeError(try gradient { technique.loss(of: $0, on: lesson) }, expected) < 1e-3)
  }

  @Test func `the weights of the group are replaced by the same bytes for any number of threads`() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    let technique = try technique(["instruction_concepts": [["prompt": "a circle"]], "warmup_steps": 0])
    Parallel.threadCount = 1
    let one = try technique.edit(EditContext(model: model, seed: 4)).replacedUNetTensors
    Parallel.threadCount = 3
    let three = try technique.edit(EditContext(model: model, seed: 4)).replacedUNetTensors
    #expect(!one.isEmpty && one.keys.allSatisfy { $0.contains(".to_out.") })
    for (name, tensor) in one {
      #expect(three[name].map(bits) == bits(tensor), "\(name)")
      #expect(model.unetWeights[name].map(bits) != bits(tensor), "\(name)")
    }
  }

  @Test func `signals without what they are made of are refused`() throws {
    func refused(_ more: [String: JSON]) -> String? {
      (#expect(throws: ConfigurationError.self) { try technique(more) })?.keyPath
    }
    #expect(refused(["erasing_signal": "replacement"]) == "replacement_concept")
    #expect(refused(["replacement_concept": "circle"]) == "replacement_concept")
    #expect(refused(["erasing_signal": "implicit", "erase_prompts": ["a star", "a ring"]]) == "erase_prompts.1")
    #expect(refused(["instruction_concepts": [["prompt": "a", "t_low": 2]]]) == "instruction_concepts.0.t_low")
    #expect(refused(["instruction_concepts": [["guidance": 2]]]) == "instruction_concepts.0.prompt")
    #expect(refused(["instruction_concepts": [["prompt": "a", "scale": 2]]]) == "instruction_concepts.0.scale")
    #expect(refused(["gamma_1": 1]) == "gamma_1")
  }
}
