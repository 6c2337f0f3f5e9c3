public import Configuration
public import Diffusion
public import Tensors

/// Concept ablation, AC (Kumari, Zhang, Wang, Shechtman, Zhang and Zhu, ICCV 2023, arXiv 2303.13516): the model learns
/// to predict under prompts of the concept the noise that it predicts under the same prompts of an anchor concept.
///
/// The anchor images are drawn by the base model and their latents noised forward. The public scripts also zoom, pad
/// and flip images, and can train the embedding of the concept's token; this one does neither.
public struct ACConfiguration: Configuration {
  /// The weights that are trained, by the names of the public script.
  public enum TrainedWeights: String, CaseIterable, ConfigurationValue {
    case crossAttention = "cross-attn"
    case fullWeight = "full-weight"
    case attention = "attn"

    public var group: ParameterGroup {
      switch self {
      case .crossAttention: .crossAttentionKeysValues
      case .fullWeight: .full
      case .attention: .attention
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
          + "attn is queries, keys, values and outputs of attention", source: script),
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
    if loadPath == nil { try training.validate() }
  }
}

extension ACConfiguration: Technique {
  public static let name = "ac"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .weights, paper: "Kumari et al., ICCV 2023, arXiv 2303.13516",
    cost: "the anchor images, and two forward and one backward pass for each sample of a step")

  public func estimates(seed: UInt64) -> [Estimate] {
    loadPath == nil ? [training.anchorLatents(samplerSettings, seed: seed).estimate(named: anchorLatents)] : []
  }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let model = context.model
    let objective = try AblationObjective(training, model, latents: context.latents(of: anchorLatents))
    let stream = RandomStream(seed: context.seed, "ac")
    let trained = try fineTuning.run(
      context, start: parameterGroup.group.tensors(in: model.unetWeights),
      prepare: { _, tensors in try objective.anchor(tensors) },
      loss: { step, sample, anchor, tensors in
        try objective.loss(of: tensors, anchor: anchor, stream.item(step * training.batchSize + sample))
      }
    ).tensors
    return ModelEdit(replacedUNetTensors: trained, details: ChangeFigures(trained, from: model.unetWeights).json)
  }

  private var fineTuning: FineTuning {
    let scale = scaleLearningRate ? Double(training.batchSize * (training.withPriorPreservation ? 2 : 1)) : 1
    return FineTuning(
      steps: training.trainSteps, learningRate: training.learningRate * scale,
      optimizer: AdamOptimizer.Settings(epsilon: Float(adamEpsilon), weightDecay: Float(adamWeightDecay)),
      batchSize: training.batchSize, maximumNorm: Float(maxGradNorm))
  }
}

private let anchorLatents = "anchor_latents"
private let script = "nupurkmr9/concept-ablation, diffusers/train.py"
