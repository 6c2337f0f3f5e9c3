public import Configuration
public import Diffusion
public import Tensors

/// Forget-Me-Not, FMN (Zhang, Wang, Xu, Wang and Shi, CVPR Workshops 2024, arXiv 2303.17591): attention re-steering.
/// The cross-attention of the model to the concept's tokens is drawn to nothing.
///
/// The images of the concept are drawn by the base model and their latents noised forward. Where textual inversion
/// comes first, new tokens learnt from these images stand for the concept.
public struct FMNConfiguration: Configuration {
  public var eraseConcept = "nudity"
  public var conceptType = ConceptType.object
  public var instancePrompts: [String]?
  public var instanceImages = 10
  public var useTextualInversion = true
  public var inversionTokens = 4
  public var inversionSteps = 500
  public var inversionLearningRate = 1e-3
  public var onlyCrossAttention = false
  public var usePooler = true
  public var noRealImage = false
  public var trainSteps = 35
  public var learningRate = 2e-6
  public var batchSize = 1
  public var adamWeightDecay = 0.01
  public var adamEpsilon = 1e-8
  public var maxGradNorm = 1.0
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  /// The prompts of the concept's images, each of which names it.
  public var effectivePrompts: [String] {
    instancePrompts ?? [(conceptType == .style ? "a photo in the style of " : "a photo of ") + eraseConcept]
  }

  public static let fields: [Field<FMNConfiguration>] = [
    .eraseConcept(\.eraseConcept),
    Field(
      "concept_type", \.conceptType,
      "Whether the prompt is \"a photo of\" it, or for a style \"a photo in the style of\" it", source: script),
    Field(
      "instance_prompts", \.instancePrompts, .notEmpty,
      "Prompts of the concept's images, each with erase_concept in it; the one of concept_type if unset",
      source: script, role: .prompt),
    Field("instance_images", \.instanceImages, .atLeast(1), "Images of the concept drawn", source: script),
    Field(
      "use_ti", \.useTextualInversion,
      "First learn new tokens from the images by textual inversion, and attend to these in the concept's place",
      source: script),
    Field("ti_tokens", \.inversionTokens, .atLeast(1), "New tokens of textual inversion", source: script),
    Field("ti_steps", \.inversionSteps, .atLeast(1), "Steps of textual inversion", source: script),
    Field(
      "ti_learning_rate", \.inversionLearningRate, .greaterThan(0), "Learning rate of textual inversion",
      source: script),
    Field(
      "only_optimize_ca", \.onlyCrossAttention, "Train cross-attention alone, and not every weight", source: script),
    Field(
      "use_pooler", \.usePooler,
      "Count the end token, and the padding of models that pad with it, among the concept's tokens", source: script),
    Field(
      "no_real_image", \.noRealImage, "Noise nothing in place of images", source: script),
    .trainSteps(\.trainSteps, source: script),
    .learningRate(\.learningRate, source: script),
    .batchSize(\.batchSize, source: script),
    .adamWeightDecay(\.adamWeightDecay, source: script),
    .adamEpsilon(\.adamEpsilon, source: script),
    .maxGradNorm(\.maxGradNorm, source: script),
    .savePath(\.savePath),
    .loadPath(\.loadPath),
  ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public func validate() throws(ConfigurationError) {
    if loadPath == nil, noRealImage, useTextualInversion {
      throw ConfigurationError(keyPath: "no_real_image", "textual inversion (use_ti) needs images")
    }
  }
}

extension FMNConfiguration: Technique {
  public static let name = "fmn"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .weights, "Forget-Me-Not: attention re-steering",
    paper: "Zhang et al., CVPR Workshops 2024, arXiv 2303.17591",
    cost: "the concept's images, and a forward and a backward pass for each sample of a step and of textual inversion")

  public func check(_ model: DiffusionModel) throws {
    for prompt in effectivePrompts { _ = try conceptPositions(of: eraseConcept, in: prompt, model.tokenizer) }
  }

  private static let images = "instance_latents"
  private static let tokens = "concept_tokens"

  public func estimates(seed: UInt64) -> [Estimate] {
    if loadPath != nil || noRealImage { return [] }
    let images = GeneratedLatents(
      prompts: effectivePrompts, count: instanceImages, sampler: samplerSettings, seed: seed)
    return [images.estimate(named: Self.images)] + (useTextualInversion ? [learntTokens(images, seed: seed)] : [])
  }

  /// The embeddings of the tokens that stand for the concept, `embeddings`, (tokens, width).
  private func learntTokens(_ images: GeneratedLatents, seed: UInt64) -> Estimate {
    let (concept, prompts) = (eraseConcept, effectivePrompts)
    let inversion = TextualInversion(
      tokens: inversionTokens, steps: inversionSteps, learningRate: inversionLearningRate, seed: seed)
    return Estimate(
      name: Self.tokens,
      inputs: [
        "images": images.inputs, "concept": .string(concept), "tokens": .integer(inversion.tokens),
        "steps": .integer(inversion.steps), "learning_rate": .number(inversion.learningRate),
      ], needs: [Self.images], work: .textGradients(Double(inversionSteps))
    ) { context in
      let latents = try context.latents(of: Self.images)
      return [
        "embeddings": try inversion.embeddings(context, latents: latents, prompts: prompts, concept: concept)
      ]
    }
  }

  private var trainedGroup: ParameterGroup { onlyCrossAttention ? .crossAttention : .full }

  public var trainingMemory: TrainingMemory? {
    TrainingMemory(.weights, of: trainedGroup, samples: batchSize)
  }

  public var editWork: ModelWork? {
    loadPath == nil ? ModelWork(gradients: Double(trainSteps * batchSize)) : .nothing
  }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let (model, batch) = (context.model, batchSize)
    let size = model.unet.config.sampleSize
    let latents = try noRealImage
      ? Tensor.zeros([1, model.unet.config.inChannels, size, size]) : context.latents(of: Self.images)
    let texts = try effectivePrompts.map { try attendedText($0, context) }
    let trained = try trainedGroup.tensors(in: model.unetWeights)
    let stream = RandomStream(seed: context.seed, "fmn")
    let result = try training.run(context, start: trained, prepare: { _, _ in }) { step, sample, _, tensors in
      let unet = try UNet2DConditionModel(model.unet.config, model.unetWeights.replacing(tensors))
      let sample = NoisedSample(latents, model.schedule, stream.item(step * batch + sample))
      return attention(of: unet, sample, to: texts[sample.image % texts.count])
    }
    return ModelEdit(
      replacedUNetTensors: result.tensors, details: ChangeFigures(result.tensors, from: model.unetWeights).json)
  }

  /// A prompt's text states, (1, positions, width), and which positions are the concept's, (1, 1, positions) of 0 or 1.
  public struct AttendedText {
    public let states: Tensor
    public let positions: Tensor
  }

  /// The text of a prompt of the concept, of the tokens learnt for it where textual inversion came first.
  ///
  /// - Throws: ``ErasureError`` where the prompt does not name the concept.
  public func attendedText(_ prompt: String, _ context: EditContext) throws -> AttendedText {
    let model = context.model
    let states: Tensor
    var named: Set<Int>
    let ending: [Int]
    if useTextualInversion {
      guard let embeddings = context.estimates[Self.tokens]?["embeddings"] else {
        throw ErasureError("the estimate '\(Self.tokens)' has no embeddings")
      }
      let template = try PromptTemplate(prompt, concept: eraseConcept, tokens: embeddings.shape[0], model)
      states = model.textEncoder(embeddings: template.filled(with: embeddings))
      named = Set(template.room.flatMap { $0 })
      ending = model.tokenizer.padToken == model.tokenizer.endToken
        ? Array(template.ending) : [template.ending.lowerBound]
    } else {
      let ids = model.tokenizer.encode(prompt)
      states = model.textEncoder([ids])
      named = Set(try conceptPositions(of: eraseConcept, in: prompt, model.tokenizer).flatMap { $0 })
      ending = ids.indices.filter { ids[$0] == model.tokenizer.endToken }
    }
    if usePooler { named.formUnion(ending) }
    let count = states.shape[1]
    return AttendedText(
      states: states, positions: Tensor((0..<count).map { named.contains($0) ? 1 : 0 }, shape: [1, 1, count]))
  }

  /// The norm of all probabilities, over layers, heads and positions of the latent, with which a pass attends to the
  /// concept's tokens.
  public func attention(of unet: UNet2DConditionModel, _ sample: NoisedSample, to text: AttendedText) -> Tensor {
    var squares: [Tensor] = []
    var hooks = UNetHooks()
    hooks.crossAttentionProbabilities = { _, probabilities in
      squares.append((probabilities * text.positions).square().sum())
      return probabilities
    }
    _ = unet(sample.latent, timesteps: [sample.timestep], encoderHiddenStates: text.states, hooks: hooks)
    return squares.dropFirst().reduce(squares[0], +).squareRoot()
  }

  private var training: FineTuning {
    FineTuning(
      steps: trainSteps, learningRate: learningRate,
      optimizer: AdamOptimizer.Settings(epsilon: Float(adamEpsilon), weightDecay: Float(adamWeightDecay)),
      batchSize: batchSize, maximumNorm: Float(maxGradNorm))
  }
}

private let script = "SHI-Labs/Forget-Me-Not, configs/attn.yaml"
