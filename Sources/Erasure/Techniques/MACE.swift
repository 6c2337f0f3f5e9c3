public import Configuration
public import Diffusion
internal import Tensors

/// Mass Concept Erasure (Lu et al., CVPR 2024, arXiv 2403.06135), which erases many concepts at once in three stages:
///
/// 1. Closed-form refinement: the words that stand beside a concept no longer carry it. In phrases with the concept and
///    the same phrases with a mapping concept, keys and values of the shared words become those of the latter.
/// 2. For each concept a low-rank change of the refined keys and values (LoRA) that is trained to leave the concept's
///    tokens without attention, inside the region where the concept is.
/// 3. Fusion: one closed form that gives each concept's phrases what their own LoRA gave.
///
/// Two things differ from the publication: regions come from the cross-attention maps of the model instead of a
/// segmentation network, and what is preserved comes from the prompts of the experiment instead of captions of MS-COCO.
public struct MACEConfiguration: Configuration {
  public var eraseConcept: ConceptNames = "nudity"
  public var conceptType = ConceptType.object
  public var mappingConcept: [String]?
  public var promptTemplates: [String]?
  public var retainPrompts: [String]?
  public var lambdaCFR = 0.1
  public var trainPreserveScale = 0.0
  public var fusePreserveScale = 0.0
  public var lora = true
  public var rank = 1
  public var learningRate = 1e-5
  public var maxTrainSteps = 50
  public var trainBatchSize = 1
  public var importanceSampling = true
  public var usePooler = true
  public var numImages = 8
  public var maskThreshold = 0.5
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<MACEConfiguration>] = [
    .eraseConcepts(\.eraseConcept, source: document),
    .conceptType(
      \.conceptType, "What the concept is: a style has no region, so its LoRA is trained on all of the image"),
    Field(
      "mapping_concept", \.mappingConcept, .notEmpty,
      "What takes the concept's place in phrases, one for each concept or one for all; \"art\" for a style, else \"\" "
        + "if unset",
      source: script, role: .phrase),
    Field(
      "prompt_templates", \.promptTemplates,
      .each(Rule("with {} where the concept goes") { $0.contains("{}") }),
      "The phrases, with {} for the concept; the first is also what training images are drawn from; "
        + "twenty-four for the type of the concept if unset",
      source: "own; the script has thirty others"),
    Field(
      "retain_prompts", \.retainPrompts, .notEmpty,
      "Prompts whose keys and values the closed forms preserve", source: "own, for the captions of MS-COCO",
      role: .prompt),
    Field(
      "lambda_cfr", \.lambdaCFR, .atLeast(0),
      "Weight of staying with the old matrices in both closed forms; the public configurations have 1000 for objects "
        + "and 0 for the others",
      source: document),
    Field(
      "train_preserve_scale", \.trainPreserveScale, .atLeast(0),
      "Weight of each retained token in the refinement; 0 for objects, 1e-4 for styles, 7e-7 for nudity",
      source: script),
    Field(
      "fuse_preserve_scale", \.fusePreserveScale, .atLeast(0),
      "Weight of each retained token in the fusion, as for the refinement", source: script),
    Field(
      "lora", \.lora, "Train and fuse a LoRA for each concept; without them only the refinement is done",
      source: script),
    Field("rank", \.rank, .atLeast(1), "Rank of each LoRA", source: script),
    Field("learning_rate", \.learningRate, .greaterThan(0), "Learning rate of AdamW", source: script),
    Field("max_train_steps", \.maxTrainSteps, .atLeast(1), "Training steps of each LoRA", source: script),
    Field("train_batch_size", \.trainBatchSize, .atLeast(1), "Samples of a training step", source: script),
    Field(
      "importance_sampling", \.importanceSampling,
      "Draw timesteps by f(t) = sigmoid(0.05 (t - 200)) - sigmoid(0.05 (t - 400)), when a concept takes shape, "
        + "instead of evenly",
      source: script),
    Field(
      "use_pooler", \.usePooler, "Also take the attention from the end tokens, padding among them", source: script),
    Field("num_images", \.numImages, .atLeast(1), "Images of each concept that its LoRA is trained on", source: script),
    Field(
      "mask_threshold", \.maskThreshold, .between(0...1),
      "Where the concept is: the share of the range of its averaged attention map from which on a pixel belongs to it",
      source: "own"),
    .savePath(\.savePath).sourced("eval-learn documentation"),
    .loadPath(\.loadPath).sourced("eval-learn documentation"),
  ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public func validate() throws(ConfigurationError) {
    _ = try counterparts(mappings, of: eraseConcept.names, key: "mapping_concept")
    let preserving = [("train_preserve_scale", trainPreserveScale), ("fuse_preserve_scale", fusePreserveScale)]
    for (key, scale) in preserving where scale > 0 && retainPrompts == nil {
      throw ConfigurationError(keyPath: key, "preserves nothing without retain_prompts")
    }
    for (key, scale) in preserving where scale == 0 && lambdaCFR == 0 {
      throw ConfigurationError(
        keyPath: "lambda_cfr", "0 leaves matrices open that no prompt decides: a \(key) above 0 was expected with it")
    }
  }

  public var inForce: [String: JSON] { ["mapping_concept": mappings.json] }

  public var warnings: [String] {
    guard loadPath == nil else { return [] }
    var warnings: [String] = []
    if mappingConcept == nil, conceptType != .style {
      warnings.append("mapping_concept is not set: phrases lose the concept without getting another in its place")
    }
    if retainPrompts != nil, trainPreserveScale == 0, fusePreserveScale == 0 {
      warnings.append("retain_prompts have no weight: train_preserve_scale and fuse_preserve_scale are 0")
    }
    return warnings
  }

  private var mappings: [String] { mappingConcept ?? [conceptType == .style ? "art" : ""] }

  /// The phrases of a concept.
  func phrases(_ concept: String) -> [String] {
    (promptTemplates ?? (conceptType == .style ? styleTemplates : objectTemplates)).map {
      $0.replacing("{}", with: concept)
    }
  }
}

extension MACEConfiguration: Technique {
  public static let name = "mace"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .weights, "Mass Concept Erasure",
    paper: "Lu et al., CVPR 2024, arXiv 2403.06135",
    cost: "for each concept a few images, and a forward and a backward pass for each training sample")

  public func check(_ model: DiffusionModel) throws {
    if lora { for concept in eraseConcept.names { _ = try conceptPositions(concept, model) } }
  }

  /// Images and a LoRA for each concept: they know nothing of each other, and each training keeps a state of its own.
  public func estimates(seed: UInt64) -> [Estimate] {
    guard lora, loadPath == nil else { return [] }
    return eraseConcept.names.flatMap { concept in
      let images = GeneratedLatents(
        prompts: [phrases(concept)[0]], count: numImages, sampler: samplerSettings, seed: seed
      ).estimate(named: Self.imagesName(concept))
      let training = Estimate(
        name: Self.loraName(concept), inputs: loraInputs(concept, seed: seed), needs: [images.name], work: loraWork
      ) { context in try trainedLoRA(concept, context) }
      return [images, training]
    }
  }

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let model = context.model
    let refined = try refinedMatrices(model)
    let edited = try lora ? fusedMatrices(context, refined: model.unetWeights.replacing(refined)) : refined
    return ModelEdit(
      replacedUNetTensors: edited, details: .object(ClosedFormEdit.details(of: edited, from: model.unetWeights)))
  }

  private static func imagesName(_ concept: String) -> String { "instance_latents.\(concept)" }
  private static func loraName(_ concept: String) -> String { "lora.\(concept)" }

  /// The regions of the images, and a gradient for each sample.
  private var loraWork: ModelWork {
    ModelWork(
      forwards: conceptType == .style ? 0 : Double(numImages * ConceptMask.passes),
      gradients: Double(maxTrainSteps * trainBatchSize))
  }

  private func loraInputs(_ concept: String, seed: UInt64) -> JSON {
    var inputs = encode(affectingResult: true).object ?? [:]
    // Fusion and generation come after.
    for key in ["fuse_preserve_scale", "load_path", "use_fp16", "num_images"] + GenerationSettings.samplerKeys {
      inputs[key] = nil
    }
    inputs["concept"] = .string(concept)
    inputs["seed"] = .integer(Int(seed))
    return .object(inputs)
  }

  // MARK: The closed forms

  /// The key and value matrices after the refinement.
  func refinedMatrices(_ model: DiffusionModel) throws -> [String: Tensor] {
    let concepts = eraseConcept.names
    let pairs = zip(concepts, try counterparts(mappings, of: concepts, key: "mapping_concept"))
      .flatMap { concept, mapping in zip(phrases(concept), phrases(mapping)) }
      .map { EncodedPrompt($0, model).aligned(withSharedTokensOf: EncodedPrompt($1, model)) }
    let width = model.unet.config.crossAttentionSize
    let old = Matrix(stacking: pairs.map(\.0), columns: width), new = Matrix(stacking: pairs.map(\.1), columns: width)
    let retained = EncodedPrompt.states(of: retainPrompts ?? [], model)
    return try ClosedFormEdit.ofCrossAttention(model.unetWeights, lambda: lambdaCFR) { _, edit in
      edit.map(old, to: edit.output(of: new))
      edit.keep(retained, scale: trainPreserveScale)
    }
  }

  /// The refined key and value matrices with all LoRAs in them.
  private func fusedMatrices(_ context: EditContext, refined: Weights) throws -> [String: Tensor] {
    let model = context.model
    let retained = EncodedPrompt.states(of: retainPrompts ?? [], model)
    let concepts = try eraseConcept.names.map { concept -> (states: Matrix, lora: LoRA) in
      guard let tensors = context.estimates[Self.loraName(concept)] else {
        throw ErasureError("the LoRA of \"\(concept)\" is missing")
      }
      return (EncodedPrompt.states(of: phrases(concept), model), LoRA(tensors: tensors))
    }
    return try ClosedFormEdit.ofCrossAttention(refined, lambda: lambdaCFR) { name, edit in
      for (states, lora) in concepts {
        guard let change = lora.change(of: name) else { throw ErasureError("a LoRA has no tensor for '\(name)'") }
        let changed = ClosedFormEdit(edit.weight + Matrix(change))
        edit.map(states, to: changed.output(of: states))
      }
      guard let weight = model.unetWeights[name] else { return }
      // What is preserved is what the base model does, not what the refinement left of it.
      let original = ClosedFormEdit(Matrix(weight))
      edit.map(retained, to: original.output(of: retained), scale: fusePreserveScale)
    }
  }

  // MARK: The LoRAs

  private func trainedLoRA(_ concept: String, _ context: EditContext) throws -> [String: Tensor] {
    let model = context.model
    let refined = model.unetWeights.replacing(try refinedMatrices(model))
    let stream = RandomStream(seed: context.seed, "mace", concept)
    let images = try trainingImages(concept, context, stream: stream)
    let prompts = phrases(concept).map { EncodedPrompt($0, model) }
    let states = phrases(concept).map { model.textEncoder([model.tokenizer.encode($0)]) }
    let conceptTokens = model.tokenizer.tokens(concept)
    let timesteps = TimestepDistribution(
      count: model.schedule.trainTimesteps, favoursShaping: importanceSampling)
    let training = FineTuning(
      steps: maxTrainSteps, learningRate: learningRate, optimizer: .init(weightDecay: 0.01), batchSize: trainBatchSize,
      maximumNorm: 1)
    let start = try LoRA(untrainedOn: refined, rank: rank, stream: stream.substream("lora"))
    return try training.run(context, start: start.tensors, prepare: { _, _ in }) { step, sample, _, tensors in
      let draw = stream.substream("sample").item(step * trainBatchSize + sample)
      let image = images[draw.substream("image").integer(below: images.count)]
      let phrase = draw.substream("phrase").integer(below: prompts.count)
      let timestep = timesteps.draw(draw.substream("timestep"))
      let noisy = model.schedule.addNoise(
        image.latent, noise: draw.substream("noise").normal(image.latent.shape), timesteps: [timestep])
      let attention = ConceptAttention(
        positions: attendedPositions(prompts[phrase], conceptTokens), length: prompts[phrase].length, mask: image.mask)
      var hooks = UNetHooks()
      hooks.crossAttentionProbabilities = { _, probabilities in
        attention.add(probabilities)
        return probabilities
      }
      let unet = try UNet2DConditionModel(model.unet.config, LoRA(tensors: tensors).applied(to: refined))
      _ = unet(noisy, timesteps: [timestep], encoderHiddenStates: states[phrase], hooks: hooks)
      return attention.loss
    }.tensors
  }

  /// The tokens of a phrase that are to lose their attention.
  private func attendedPositions(_ prompt: EncodedPrompt, _ concept: [Int]) -> [Int] {
    prompt.positions(of: concept) + (usePooler ? Array(prompt.endPosition..<prompt.length) : [])
  }

  /// Where the first phrase of a concept, which its images are drawn from, names it.
  private func conceptPositions(_ concept: String, _ model: DiffusionModel) throws -> [Int] {
    let text = phrases(concept)[0]
    let positions = EncodedPrompt(text, model).positions(of: model.tokenizer.tokens(concept))
    guard !positions.isEmpty else {
      throw ErasureError(
        "the concept \"\(concept)\" is not among the tokens that the text encoder takes of \"\(text)\"")
    }
    return positions
  }

  /// Clean latents of images of the concept, which the base model draws, and the region of the concept in each; no
  /// region for a style.
  private func trainingImages(
    _ concept: String, _ context: EditContext, stream: RandomStream
  ) throws -> [(latent: Tensor, mask: ConceptMask?)] {
    let model = context.model
    let positions = try conceptPositions(concept, model)
    let latents = try context.latents(of: Self.imagesName(concept))
    return try parallelMap(latents.shape[0]) { index in
      let latent = latents.slice(axis: 0, index..<index + 1)
      guard conceptType != .style else { return (latent, nil) }
      let mask = ConceptMask(
        model, latent: latent, prompt: phrases(concept)[0], positions: positions, threshold: maskThreshold,
        stream: stream.substream("mask").item(index).substream("noise"))
      return (latent, mask)
    }
  }
}

/// A low-rank change U D of each key and value matrix of cross-attention (Hu et al., LoRA, ICLR 2022).
struct LoRA {
  /// `NAME.down`, (rank, inputs), and `NAME.up`, (outputs, rank).
  let tensors: [String: Tensor]

  init(tensors: [String: Tensor]) { self.tensors = tensors }

  /// A change of nothing, as training starts from it: D normal with deviation 1 / rank, U zero.
  init(untrainedOn weights: Weights, rank: Int, stream: RandomStream) throws {
    var tensors: [String: Tensor] = [:]
    for name in try ParameterGroup.crossAttentionKeysValues.names(in: weights) {
      guard let weight = weights[name] else { continue }
      tensors[name + ".down"] = stream.substream(name).normal([rank, weight.shape[1]]) * (1 / Float(rank))
      tensors[name + ".up"] = Tensor.zeros([weight.shape[0], rank])
    }
    self.tensors = tensors
  }

  /// U D for the matrix of that name.
  func change(of name: String) -> Tensor? {
    guard let up = tensors[name + ".up"], let down = tensors[name + ".down"] else { return nil }
    return up.matmul(down)
  }

  /// W + U D for every matrix that is changed.
  func applied(to weights: Weights) -> Weights {
    var changed: [String: Tensor] = [:]
    for (name, weight) in weights.tensors { changed[name] = change(of: name).map { weight + $0 } }
    return weights.replacing(changed)
  }
}

/// Σ over layers of ‖A‖₂, A being the attention of some tokens inside a region, over heads and positions; the norm is
/// not squared, as in the public code.
final class ConceptAttention {
  private let tokens: Tensor
  private let mask: ConceptMask?
  private(set) var loss = Tensor(0)

  /// - Parameters:
  ///   - positions: the tokens
  ///   - length: the number of positions of a prompt
  ///   - mask: the region; everywhere where it is nil
  init(positions: [Int], length: Int, mask: ConceptMask?) {
    let chosen = Set(positions)
    tokens = Tensor((0..<length).map { chosen.contains($0) ? 1 : 0 }, shape: [1, 1, length])
    self.mask = mask
  }

  /// Adds a layer's probabilities, (heads, positions, tokens).
  func add(_ probabilities: Tensor) {
    let region = mask?.atLayer(positions: probabilities.shape[1])
    let attention = probabilities * (region.map { $0 * tokens } ?? tokens)
    // Where the region misses every position of a coarse layer there is nothing to add, and the root has no slope.
    guard attention.sumOfSquares > 0 else { return }
    loss = loss + attention.square().sum().squareRoot()
  }
}

/// From which timesteps training takes its samples.
struct TimestepDistribution {
  private let cumulative: [Double]

  init(count: Int, favoursShaping: Bool) {
    func sigmoid(_ x: Double) -> Double { (1 + Double(Tensor(Float(0.5 * x)).tanh().item)) / 2 }
    var sum = 0.0
    cumulative = (0..<count).map { timestep in
      let t = Double(timestep)
      sum += favoursShaping ? sigmoid(0.05 * (t - 200)) - sigmoid(0.05 * (t - 400)) : 1
      return sum
    }
  }

  func draw(_ stream: RandomStream) -> Int {
    let place = stream.uniformDoubles(1)[0] * (cumulative.last ?? 0)
    return cumulative.firstIndex { $0 > place } ?? cumulative.count - 1
  }
}

private let document = "eval-learn documentation"
private let script = "public configurations of MACE"

private let objectTemplates = [
  "a photo of {}", "a picture of {}", "an image of {}", "a close-up of {}", "a drawing of {}", "a painting of {}",
  "a sketch of {}", "a cartoon of {}", "a rendering of {}", "a poster with {}", "a bright photo of {}",
  "a dark photo of {}", "a cropped photo of {}", "a blurry photo of {}", "a black and white photo of {}",
  "a photo of {} from far away", "a photo of {} at night", "a photo of {} in the street", "{} on a table",
  "{} in the garden", "{} in front of a wall", "a stamp that shows {}", "a postcard with {}", "many people around {}",
]

private let styleTemplates = [
  "a painting by {}", "a picture by {}", "an image by {}", "a drawing by {}", "a sketch by {}", "art by {}",
  "an artwork by {}", "a portrait by {}", "a landscape by {}", "a still life by {}", "a mural by {}", "a print by {}",
  "a poster by {}", "an early work by {}", "a late work by {}", "the best-known work of {}", "a museum piece by {}",
  "a house in the style of {}", "a person in the style of {}", "a street in the style of {}",
  "an animal in the style of {}", "a copy after {}", "colours as {} chose them", "something that {} painted",
]
