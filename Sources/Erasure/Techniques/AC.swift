public import Configuration
public import Diffusion
internal import Tensors

/// Concept ablation, AC (Kumari, Zhang, Wang, Shechtman, Zhang and Zhu, ICCV 2023, arXiv 2303.13516): the model learns
/// to predict under prompts of the concept the noise that it predicts under the same prompts of an anchor concept.
///
/// The anchor images are drawn by the base model and their latents noised forward; ``ImageAugmentation`` is an option,
/// which the public script takes for objects.
public struct ACConfiguration: Configuration {
  /// The weights that are trained, by the names of the public script.
  public enum TrainedWeights: String, CaseIterable, ConfigurationValue {
    case crossAttention = "cross-attn"
    case fullWeight = "full-weight"
    case attention = "attn"
    case embedding

    /// Of the UNet's weights; none where the text encoder's embeddings are trained.
    public var group: ParameterGroup? {
      switch self {
      case .crossAttention: .crossAttentionKeysValues
      case .fullWeight: .full
      case .attention: .attention
      case .embedding: nil
      }
    }
  }

  public var training = AblationSettings()
  public var parameterGroup = TrainedWeights.crossAttention
  public var scaleLearningRate = false
  public var adamWeightDecay = 0.01
  public var adamEpsilon = 1e-8
  public var maxGradNorm = 1.0
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<ACConfiguration>] =
    AblationSettings.fields.map { $0.inside(\.training) } + [
      Field(
        "parameter_group", \.parameterGroup,
        "The weights to train: cross-attn is keys and values of cross-attention, full-weight is all, "
          + "attn is queries, keys, values and outputs of attention, embedding is the token embeddings of "
          + "erase_concept's words in the text encoder", source: script),
      Field(
        "scale_lr", \.scaleLearningRate,
        "Multiply learning_rate by batch_size, and by 2 more with prior preservation", source: script),
      .adamWeightDecay(\.adamWeightDecay, source: script),
      .adamEpsilon(\.adamEpsilon, source: script),
      .maxGradNorm(\.maxGradNorm, source: script),
      .savePath(\.savePath),
      .loadPath(\.loadPath),
    ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var warnings: [String] { loadPath == nil ? training.warnings : [] }

  public func validate() throws(ConfigurationError) {
    if parameterGroup == .embedding, savePath != nil || loadPath != nil {
      throw ConfigurationError(
        keyPath: savePath != nil ? "save_path" : "load_path",
        "is a file of UNet weights, and parameter_group \"embedding\" changes the text encoder alone; "
          + "lethe export writes the whole model")
    }
    if loadPath == nil { try training.validate() }
  }
}

extension ACConfiguration: Technique {
  public static let name = "ac"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .weights, "Ablating Concepts",
    paper: "Kumari et al., ICCV 2023, arXiv 2303.13516",
    cost: "the anchor images, and two forward and one backward pass for each sample of a step")

  public func estimates(seed: UInt64) -> [Estimate] {
    loadPath == nil ? [training.anchorEstimate(samplerSettings, seed: seed)] : []
  }

  public var trainingMemory: TrainingMemory? {
    parameterGroup.group.map { TrainingMemory(.weights, of: $0, samples: training.batchSize) }
  }

  public var editWork: ModelWork? { loadPath == nil ? training.work : .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let model = context.model
    if let group = parameterGroup.group {
      let trained = try trained(context, from: group.tensors(in: model.unetWeights))
      return ModelEdit(replacedUNetTensors: trained, details: ChangeFigures(trained, from: model.unetWeights).json)
    }
    let words = try ConceptEmbedding(training.eraseConcept, model)
    let start = [AblationObjective.rows: words.start]
    let trained = try trained(context, from: start, words)
    var details = ChangeFigures(
      trained, from: Weights(start, source: "the text encoder"), of: model.textWeights.parameterCount
    ).members
    details["trained_tokens"] = .array(words.tokens.map { .string(model.tokenizer.decode([$0])) })
    return ModelEdit(
      replacedTextEncoderTensors: words.replacement(rows: trained[AblationObjective.rows] ?? words.start),
      details: .object(details))
  }

  /// The tensors after training, by the names of `start`.
  private func trained(
    _ context: EditContext, from start: [String: Tensor], _ words: ConceptEmbedding? = nil
  ) throws -> [String: Tensor] {
    let objective = try AblationObjective(
      training, context.model, latents: context.latents(of: AblationSettings.anchorLatentsName), words: words)
    let stream = RandomStream(seed: context.seed, "ac")
    return try fineTuning.run(
      context, start: start,
      prepare: { _, tensors in try objective.anchor(tensors) },
      loss: { step, sample, anchor, tensors in
        try objective.loss(of: tensors, anchor: anchor, stream.item(step * training.batchSize + sample))
      }
    ).tensors
  }

  private var fineTuning: FineTuning {
    let scale = scaleLearningRate ? Double(training.batchSize * (training.withPriorPreservation ? 2 : 1)) : 1
    return FineTuning(
      steps: training.trainSteps, learningRate: training.learningRate * scale,
      optimizer: AdamOptimizer.Settings(epsilon: Float(adamEpsilon), weightDecay: Float(adamWeightDecay)),
      batchSize: training.batchSize, maximumNorm: Float(maxGradNorm))
  }
}

private let script = "nupurkmr9/concept-ablation, diffusers/train.py"
