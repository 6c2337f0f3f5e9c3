import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct FMNTests {
  private let model: DiffusionModel
  private let prompt = "a red star"

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func technique(_ more: [String: JSON] = [:]) throws -> FMNConfiguration {
    let settings: [String: JSON] = [
      "erase_concept": "star", "instance_prompts": ["a red star", "a star"], "instance_images": 2, "use_ti": false,
      "train_steps": 2, "batch_size": 2, "num_inference_steps": 2, "learning_rate": 1e-3,
    ]
    return try FMNConfiguration.parse(.object(settings.merging(more) { $1 }))
  }

  private func context(_ technique: FMNConfiguration) throws -> EditContext {
    var estimates: [String: [String: Tensor]] = [:]
    for estimate in technique.estimates(seed: 4) {
      estimates[estimate.name] = try estimate.compute(EditContext(model: model, estimates: estimates, seed: 4))
    }
    return EditContext(model: model, estimates: estimates, seed: 4)
  }

  private func sample() -> NoisedSample {
    NoisedSample(
      RandomStream(seed: 2, "latents").normal([1, 4, 8, 8]), model.schedule, RandomStream(seed: 1, "sample"))
  }

  @Test func `a concept's tokens are found where the prompt has them`() throws {
    let before = model.tokenizer.tokens("a red").count + 1, size = model.tokenizer.tokens("star").count
    let found = try conceptPositions(of: "star", in: prompt, model.tokenizer)
    #expect(found == [before..<before + size])
    #expect(throws: ErasureError.self) { try conceptPositions(of: "circle", in: prompt, model.tokenizer) }
    #expect(throws: ErasureError.self) { try conceptPositions(of: "", in: prompt, model.tokenizer) }
  }

  @Test func `the pooler's positions are those of the end token and of what pads like it`() throws {
    let empty = EditContext(model: model, seed: 0)
    let without = try technique(["use_pooler": false]).attendedText(prompt, empty).positions.values
    let with = try technique().attendedText(prompt, empty).positions.values
    let words = model.tokenizer.tokens(prompt).count + 1
    #expect(without[words...].allSatisfy { $0 == 0 } && with[words...].allSatisfy { $0 == 1 })
    #expect(Array(with[..<words]) == Array(without[..<words]))
    #expect(without.reduce(0, +) == Float(model.tokenizer.tokens("star").count))
  }

  @Test func `the loss is the norm of all attention to the concept`() throws {
    let technique = try technique(["use_pooler": false])
    let text = try technique.attendedText(prompt, EditContext(model: model, seed: 0))
    let positions = try conceptPositions(of: "star", in: prompt, model.tokenizer).flatMap { $0 }
    var (sum, layers) = (0.0, 0)
    var hooks = UNetHooks()
    hooks.crossAttentionProbabilities = { _, probabilities in
      let tokens = probabilities.shape[2]
      for (at, value) in probabilities.values.enumerated() where positions.contains(at % tokens) {
        sum += Double(value * value)
      }
      layers += 1
      return probabilities
    }
    let sample = sample()
    _ = model.unet(
      sample.latent, timesteps: [sample.timestep], encoderHiddenStates: text.states, hooks: hooks)
    let found = Double(technique.attention(of: model.unet, sample, to: text).item)
    #expect(layers == model.unetWeights.names.filter { $0.hasSuffix("attn2.to_q.weight") }.count)
    #expect(abs(found - sum.squareRoot()) < 1e-5 * found)
  }

  @Test func `training turns attention away from the concept`() throws {
    let technique = try technique(["only_optimize_ca": true, "train_steps": 8, "learning_rate": 0.02])
    let context = try context(technique)
    let edit = try technique.edit(context)
    #expect(edit.replacedUNetTensors.keys.allSatisfy { $0.contains("attn2") })
    let text = try technique.attendedText(prompt, context)
    let before = technique.attention(of: model.unet, sample(), to: text).item
    let after = technique.attention(of: try edit.applied(to: model).unet, sample(), to: text).item
    #expect(after < before)
  }

  @Test func `a prompt refilled with the concept's own embeddings reads as before`() throws {
    let tokens = model.tokenizer.tokens("star")
    let template = try PromptTemplate(prompt, concept: "star", tokens: tokens.count, model)
    let embeddings = model.textEncoder.embed([tokens]).reshaped([tokens.count, template.width])
    let states = model.textEncoder(embeddings: template.filled(with: embeddings))
    #expect(bits(states) == bits(model.textEncoder([model.tokenizer.encode(prompt)])))
    #expect(throws: ErasureError.self) { try PromptTemplate(prompt, concept: "star", tokens: 99, model) }
  }

  @Test func `textual inversion learns tokens that take the concept's place`() throws {
    let technique = try technique(["use_ti": true, "ti_steps": 3, "ti_tokens": 2, "train_steps": 1])
    #expect(technique.estimates(seed: 4).map(\.name) == ["instance_latents", "concept_tokens"])
    let context = try context(technique)
    #expect(context.estimates["concept_tokens"]?["embeddings"]?.shape == [2, model.textEncoder.config.tower.hiddenSize])
    let attended = try technique.attendedText(prompt, context).positions.values
    let first = model.tokenizer.tokens("a red").count + 1
    #expect(attended[first] == 1 && attended[first + 1] == 1 && attended[first - 1] == 0)
    #expect(try !technique.edit(context).replacedUNetTensors.isEmpty)
  }

  @Test func `every number of threads trains the same bytes`() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    let technique = try technique(["no_real_image": true])
    #expect(technique.estimates(seed: 0).isEmpty)
    Parallel.threadCount = 1
    let one = try technique.edit(EditContext(model: model, seed: 4)).replacedUNetTensors
    Parallel.threadCount = 3
    let three = try technique.edit(EditContext(model: model, seed: 4)).replacedUNetTensors
    #expect(one.count == model.unetWeights.names.count)
    for (name, tensor) in one { #expect(three[name].map(bits) == bits(tensor), "\(name)") }
  }

  @Test func `textual inversion without images and prompts without the concept are refused`() throws {
    #expect(throws: ConfigurationError.self) { try technique(["use_ti": true, "no_real_image": true]) }
    let foreign = try technique(["instance_prompts": ["a circle"]])
    #expect(throws: ErasureError.self) { try foreign.edit(try context(foreign)) }
  }
}
