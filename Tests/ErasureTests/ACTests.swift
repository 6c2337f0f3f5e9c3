import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct ACTests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func settings(
    _ concept: String, anchor: String, type: ConceptType = .object,
    loss: ConceptAblation.LossType = .modelBased, prior: Double? = nil
  ) -> AblationSettings {
    var settings = AblationSettings()
    (settings.eraseConcept, settings.anchorConcept, settings.conceptType) = (concept, anchor, type)
    (settings.anchorPrompts, settings.lossType) = (["a circle", "a red circle"], loss)
    (settings.withPriorPreservation, settings.priorLossWeight) = (prior != nil, prior ?? 1)
    return settings
  }

  private func ablation(
    _ concept: String, anchor: String, type: ConceptType = .object
  ) -> ConceptAblation { settings(concept, anchor: anchor, type: type).ablation }

  private func loss(_ settings: AblationSettings) throws -> Float {
    let latents = RandomStream(seed: 2, "latents").normal([4, 4, 8, 8])
    let objective = try AblationObjective(settings, model, latents: latents)
    return try objective.loss(of: [:], anchor: objective.original, RandomStream(seed: 1, "ac").item(0)).item
  }

  @Test func `an object takes its anchor's place in the prompt, and a star that of the whole prompt`() throws {
    #expect(try ablation("grumpy cat", anchor: "cat").targetPrompts("A cute cat") == ["A cute grumpy cat"])
    #expect(try ablation("cat", anchor: "shape").targetPrompts("Shape of a thing") == ["cat of a thing"])
    #expect(try ablation("nudity, nsfw", anchor: "*").targetPrompts("people") == ["nudity, nsfw"])
    #expect(throws: ErasureError.self) { try ablation("cat", anchor: "dog").targetPrompts("a fish") }
  }

  @Test func `an attribute takes its anchor's place as an object does`() throws {
    #expect(try ablation("red", anchor: "plain", type: .attribute).targetPrompts("a plain house") == ["a red house"])
    let error = #expect(throws: ConfigurationError.self) {
      try ACConfiguration.parse(["erase_concept": "red", "concept_type": "attribute"])
    }
    #expect(error?.keyPath == "anchor_concept")
  }

  @Test func `a style is added to the prompt in one of three phrases`() throws {
    #expect(
      try ablation("Monet", anchor: "", type: .style).targetPrompts("a house") == [
        "a house, in the style of Monet", "in Monet's style, a house", "in Monet style, a house",
      ])
  }

  @Test func `a concept that is its own anchor has nothing to learn`() throws {
    #expect(try loss(settings("circle", anchor: "circle")) == 0)
    #expect(try loss(settings("star", anchor: "circle")) > 0)
  }

  @Test func `the noise-based loss is that of denoising anchor images under the concept's prompt`() throws {
    let latents = RandomStream(seed: 2, "latents").normal([4, 4, 8, 8])
    let sample = NoisedSample(latents, model.schedule, RandomStream(seed: 1, "ac").item(0))
    let prompt = ["a star", "a red star"][sample.image % 2]
    let predicted = model.unet(
      sample.latent, timesteps: [sample.timestep],
      encoderHiddenStates: model.textEncoder([model.tokenizer.encode(prompt)]))
    let found = try loss(settings("star", anchor: "circle", loss: .noiseBased))
    #expect(abs(found - mseLoss(predicted, sample.noise).item) < 1e-6)
  }

  @Test func `prior preservation adds its loss as often as its weight says`() throws {
    let plain = try loss(settings("star", anchor: "circle"))
    let once = try loss(settings("star", anchor: "circle", prior: 1))
    let fifth = try loss(settings("star", anchor: "circle", prior: 0.2))
    #expect(once > plain)
    #expect(abs((fifth - plain) - 0.2 * (once - plain)) < 1e-5)
  }

  /// Attention to the begin token is part of the value, and no part of the gradient.
  @Test func `keys and values of the begin token do not move`() throws {
    let states = model.textEncoder([model.tokenizer.encode("a star")])
    let latent = RandomStream(seed: 3, "latent").normal([1, 4, 8, 8])
    let name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_v.weight"
    func pass(detached: Int?) throws -> (value: Tensor, gradient: Tensor) {
      let tape = Tape()
      let weight = tape.watch(try #require(model.unetWeights[name]))
      let unet = try UNet2DConditionModel(model.unet.config, model.unetWeights.replacing([name: weight]))
      let text = unet.prepare(text: states)
      let value = unet(latent, time: unet.prepare(timesteps: [500]), text: detached.map(text.detachingFirst) ?? text)
      return (value.detached, tape.gradients(of: value.square().sum(), for: [weight])[0])
    }
    let (whole, blocked, all) = (try pass(detached: nil), try pass(detached: 1), try pass(detached: states.shape[1]))
    #expect(bits(whole.value) == bits(blocked.value))
    #expect(relativeError(blocked.gradient, whole.gradient) > 1e-3)
    #expect(all.gradient.values.allSatisfy { $0 == 0 })
  }

  private func document(_ more: [String: JSON] = [:]) -> JSON {
    let members: [String: JSON] = [
      "erase_concept": "star", "anchor_concept": "circle", "anchor_prompts": ["a circle", "a red circle"],
      "train_size": 3, "train_steps": 2, "batch_size": 2, "num_inference_steps": 2, "learning_rate": 1e-3,
    ]
    return .object(members.merging(more) { $1 })
  }

  private func edit(_ document: JSON) throws -> ModelEdit {
    let technique = try ACConfiguration.parse(document)
    var estimates: [String: [String: Tensor]] = [:]
    for estimate in technique.estimates(seed: 4) {
      estimates[estimate.name] = try estimate.compute(EditContext(model: model, seed: 4))
    }
    return try technique.edit(EditContext(model: model, estimates: estimates, seed: 4))
  }

  @Test func `only the weights of the group are replaced, by the same bytes for any number of threads`() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    Parallel.threadCount = 1
    let one = try edit(document())
    Parallel.threadCount = 3
    let three = try edit(document())
    #expect(one.replacedUNetTensors.keys.allSatisfy { $0.contains("attn2.to_k") || $0.contains("attn2.to_v") })
    #expect(!one.replacedUNetTensors.isEmpty)
    for (name, tensor) in one.replacedUNetTensors {
      #expect(three.replacedUNetTensors[name].map(bits) == bits(tensor), "\(name)")
      #expect(model.unetWeights[name].map(bits) != bits(tensor), "\(name)")
    }
  }

  // MARK: Embeddings

  /// The loss of one sample as a function of the embeddings' rows.
  private func lossOfRows(_ settings: AblationSettings) throws -> (Tensor) throws -> Tensor {
    let latents = RandomStream(seed: 2, "latents").normal([4, 4, 8, 8])
    let words = try ConceptEmbedding(settings.eraseConcept, model)
    let objective = try AblationObjective(settings, model, latents: latents, words: words)
    return { rows in
      let anchor = try objective.anchor([AblationObjective.rows: rows.detached])
      return try objective.loss(
        of: [AblationObjective.rows: rows], anchor: anchor, RandomStream(seed: 1, "ac").item(0))
    }
  }

  /// The gradient goes through the UNet, cross-attention and the whole text encoder.
  @Test func `the gradient to the embeddings is that of finite differences`() throws {
    var settings = settings("star", anchor: "circle")
    settings.anchorModel = .original
    let loss = try lossOfRows(settings)
    let start = try ConceptEmbedding("star", model).start
    let tape = Tape()
    let rows = tape.watch(start)
    let gradient = tape.gradients(of: try loss(rows), for: [rows])[0]
    #expect(gradient.sumOfSquares > 0)
    // Along the gradient, where the loss moves the most, and along a direction at random.
    let along = gradient * Float(1 / gradient.sumOfSquares.squareRoot())
    let random = RandomStream(seed: 8, "direction").normal(start.shape)
    for direction in [along, random] {
      let step = Float(0.02 * (start.sumOfSquares / direction.sumOfSquares).squareRoot())
      let difference = try loss(start + direction * step).item - loss(start - direction * step).item
      let expected = (gradient * direction).sum().item
      #expect(abs(difference / (2 * step) - expected) < 0.03 * Float(gradient.sumOfSquares.squareRoot()))
    }
  }

  @Test func `an anchor that shares no token with the concept is predicted with the original embeddings`() throws {
    let words = try ConceptEmbedding("star", model)
    let ids = model.tokenizer.encode("a red star")
    #expect(words.isNamed(in: ids))
    #expect(bits(words.states(ids, rows: words.start)) == bits(model.textEncoder([ids])))
    #expect(bits(words.states(ids, rows: words.start * 2)) != bits(model.textEncoder([ids])))
    // Where they share no token, the current model's prediction under the anchor is the original's.
    let rows = words.start * 1.5
    #expect(!words.isNamed(in: model.tokenizer.encode("?")))
    var current = AblationSettings()
    (current.eraseConcept, current.anchorConcept, current.anchorPrompts) = ("star", "?", ["?"])
    var original = current
    (current.anchorModel, original.anchorModel) = (.current, .original)
    let values = try (lossOfRows(current)(rows).item, lossOfRows(original)(rows).item)
    #expect(values.0 == values.1)
    // Where they share one, the two differ.
    (current.anchorConcept, current.anchorPrompts) = ("star shape", ["star shape"])
    (original.anchorConcept, original.anchorPrompts) = (current.anchorConcept, current.anchorPrompts)
    let shared = try (lossOfRows(current)(rows).item, lossOfRows(original)(rows).item)
    #expect(shared.0 != shared.1)
  }

  @Test func `only the rows of the concept's tokens change, by the same bytes for any number of threads`() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    Parallel.threadCount = 1
    let one = try edit(document(["parameter_group": "embedding"]))
    Parallel.threadCount = 3
    let three = try edit(document(["parameter_group": "embedding"]))
    #expect(one.replacedUNetTensors.isEmpty && one.pruned.isEmpty)
    let name = model.textEncoder.tokenEmbeddingName
    #expect(Array(one.replacedTextEncoderTensors.keys) == [name])
    let table = try #require(one.replacedTextEncoderTensors[name])
    #expect(three.replacedTextEncoderTensors[name].map(bits) == bits(table))
    let width = table.shape[1]
    let before = model.textEncoder.tokenEmbedding.values
    let changed = Set(table.values.indices.filter { table.values[$0] != before[$0] }.map { $0 / width })
    #expect(changed == Set(model.tokenizer.tokens("star")))
    #expect(one.details["trained_tokens"]?.array?.count == changed.count)
    #expect(one.details["trained_parameters"]?.integer == changed.count * width)
    let edited = try one.applied(to: model)
    #expect(bits(edited.textEncoder.tokenEmbedding) == bits(table))
  }

  @Test func `a prompt that is cut before the concept's tokens is refused`() throws {
    let long = Array(repeating: "red", count: 40).joined(separator: " ")
    let json = document(["parameter_group": "embedding", "anchor_prompts": [.string("\(long) circle")]])
    let error = #expect(throws: ErasureError.self) { try edit(json) }
    #expect(error?.description.contains("has no token of \"star\" that the model reads") == true)
  }

  @Test func `embeddings have no file of UNet weights`() throws {
    for key in ["save_path", "load_path"] {
      let json = document(["parameter_group": "embedding", key: "w.safetensors"])
      let error = #expect(throws: ConfigurationError.self) { try ACConfiguration.parse(json) }
      #expect(error?.keyPath == key)
    }
  }

  @Test func `anchor images depend on what is drawn alone, so that other concepts and rates share them`() throws {
    func inputs(_ more: [String: JSON]) throws -> JSON {
      let estimates = try ACConfiguration.parse(document(more)).estimates(seed: 1)
      #expect(estimates.map(\.name) == ["anchor_latents"])
      return estimates[0].inputs
    }
    let plain = try inputs([:])
    #expect(try inputs(["learning_rate": 1e-2, "parameter_group": "attn", "erase_concept": "square"]) == plain)
    #expect(try inputs(["train_size": 4]) != plain)
    #expect(try inputs(["anchor_prompts": ["a circle"]]) != plain)
    #expect(try ACConfiguration.parse(document(["load_path": "a.safetensors"])).estimates(seed: 1).isEmpty)
  }

  @Test func `what does not say what to draw instead is refused`() throws {
    func refusal(_ json: JSON) -> ConfigurationError? {
      #expect(throws: ConfigurationError.self) { try ACConfiguration.parse(json) }
    }
    #expect(refusal(["erase_concept": "star"])?.keyPath == "anchor_concept")
    #expect(refusal(["erase_concept": "star", "anchor_concept": "*"])?.keyPath == "anchor_prompts")
    #expect(refusal(["erase_concept": "star", "concept_type": "style"])?.keyPath == "anchor_prompts")
    let foreign = refusal(document(["anchor_prompts": ["a circle", "a ring"]]))
    #expect(foreign?.keyPath == "anchor_prompts.1" && foreign?.message.contains("\"a ring\"") == true)
    #expect(try ACConfiguration.parse([:]).training.effectiveAnchor == "a person wearing clothes")
    #expect(try ACConfiguration.parse([:]).warnings.count == 1)
  }
}
