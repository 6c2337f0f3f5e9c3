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

  public var eraseConcept = "nudity"
  public var anchorConcept: String?
  public var conceptType = ConceptAblation.ConceptType.object
  public var anchorPrompts: [String]?
  public var trainSize = 200
  public var lossType = ConceptAblation.LossType.modelBased
  public var anchorModel = ConceptAblation.AnchorModel.current
  public var parameterGroup = TrainedWeights.crossAttention
  public var withPriorPreservation = false
  public var priorLossWeight = 1.0
  public var trainSteps = 400
  public var learningRate = 1e-5
  public var scaleLearningRate = false
  public var batchSize = 4
  public var adamWeightDecay = 0.01
  public var adamEpsilon = 1e-8
  public var maxGradNorm = 1.0
  public var savePath: String?
  public var loadPath: String?
  public var numInferenceSteps: Int?
  public var guidanceScale: Double?
  public var useFP16 = true
  public var device: Device?

  public init() {}

  public static let fields: [Field<ACConfiguration>] = [
    Field(
      "erase_concept", \.eraseConcept, .notEmpty, "The concept to ablate", source: document, role: .concept),
    .anchorConcept(\.anchorConcept),
    .conceptType(\.conceptType),
    .anchorPrompts(\.anchorPrompts),
    .trainSize(\.trainSize),
    .ablationLoss(\.lossType),
    .anchorModel(\.anchorModel),
    Field(
      "parameter_group", \.parameterGroup,
      "The weights to train: cross-attn is keys and values of cross-attention, full-weight is all, "
        + "attn is queries, keys, values and outputs of attention", source: script),
    .withPriorPreservation(\.withPriorPreservation),
    .priorLossWeight(\.priorLossWeight),
    .trainSteps(\.trainSteps, source: document),
    .learningRate(\.learningRate, source: document),
    Field(
      "scale_lr", \.scaleLearningRate,
      "Multiply learning_rate by batch_size, and by 2 more with prior preservation", source: script),
    .batchSize(\.batchSize, source: script),
    .adamWeightDecay(\.adamWeightDecay, source: script),
    .adamEpsilon(\.adamEpsilon, source: script),
    .maxGradNorm(\.maxGradNorm, source: script),
    .savePath(\.savePath),
    .loadPath(\.loadPath),
    .numInferenceSteps(\.numInferenceSteps),
    .guidanceScale(\.guidanceScale),
    .useFP16(\.useFP16),
    .device(\.device),
  ]

  public func validate() throws(ConfigurationError) {
    try ConceptAblation.validate(
      concept: eraseConcept, anchor: anchorConcept, type: conceptType, prompts: anchorPrompts,
      isLoaded: loadPath != nil)
  }

  public var warnings: [String] {
    loadPath == nil ? ConceptAblation.warnings(anchorPrompts: anchorPrompts, anchor: ablation.anchor) : []
  }
}

extension ACConfiguration: Technique {
  public static let name = "ac"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .weights, paper: "Kumari et al., ICCV 2023, arXiv 2303.13516",
    cost: "the anchor images, and two forward and one backward pass for each sample of a step")

  /// What is trained on and towards.
  public var ablation: ConceptAblation {
    let anchor = ConceptAblation.anchor(anchorConcept, of: eraseConcept)
    return ConceptAblation(
      concept: eraseConcept, anchor: anchor, conceptType: conceptType, anchorPrompts: anchorPrompts ?? [anchor],
      lossType: lossType, priorWeight: withPriorPreservation ? Float(priorLossWeight) : nil)
  }

  public func estimates(seed: UInt64) -> [Estimate] {
    if loadPath != nil { return [] }
    return [ablation.anchorLatents(trainSize, samplerSettings, seed: seed)]
  }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let (model, batch) = (context.model, batchSize)
    let config = model.unet.config
    let objective = try AblationObjective(
      ablation, model, latents: context.latents(of: ConceptAblation.anchorLatentsName))
    let stream = RandomStream(seed: context.seed, "ac")
    func unet(_ tensors: [String: Tensor]) throws -> UNet2DConditionModel {
      try UNet2DConditionModel(config, model.unetWeights.replacing(tensors))
    }
    let trained = try parameterGroup.group.tensors(in: model.unetWeights)
    let result = try training.run(context, start: trained) { _, tensors in
      anchorModel == .current ? try unet(tensors) : model.unet
    } loss: { step, sample, anchor, tensors in
      try objective.loss(of: unet(tensors), anchor: anchor, stream.item(step * batch + sample))
    }
    return ModelEdit(
      replacedUNetTensors: result.tensors, details: ["losses": .array(result.losses.map(JSON.number))])
  }

  private var training: FineTuning {
    let scale = scaleLearningRate ? Double(batchSize * (withPriorPreservation ? 2 : 1)) : 1
    return FineTuning(
      steps: trainSteps, learningRate: learningRate * scale,
      optimizer: AdamOptimizer.Settings(epsilon: Float(adamEpsilon), weightDecay: Float(adamWeightDecay)),
      batchSize: batchSize, maximumNorm: Float(maxGradNorm))
  }
}

private let document = "eval-learn, technique ca"
private let script = "nupurkmr9/concept-ablation, diffusers/train.py"
