public import Configuration
public import Diffusion
internal import Tensors

/// P-AC (arXiv 2405.16534): masks of the weights learn the loss of concept ablation, and what they rule out is pruned.
public struct PACConfiguration: Configuration {
  /// The paper's equation 3 compares with the original model.
  public var training = {
    var training = AblationSettings()
    training.anchorModel = .original
    training.trainSteps = 1000
    training.learningRate = 0.01
    return training
  }()
  public var trainMethod = ParameterGroup.full
  public var mask = SoftMaskSettings()
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<PACConfiguration>] =
    AblationSettings.fields.map { $0.inside(\.training) }
      .sourced(["anchor_model", "train_steps", "learning_rate"], "seed document 001") + [
      .trainMethod(
        \.trainMethod, "The weights that have masks: all for nudity, cross-attention for styles",
        source: "seed document 001")
    ] + SoftMaskSettings.fields.map { $0.inside(\.mask) }
      + [.saveMask(\.savePath), .loadMask(\.loadPath)] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var warnings: [String] { loadPath == nil ? training.warnings : [] }

  public func validate() throws(ConfigurationError) {
    if loadPath == nil { try training.validate() }
    try mask.validate()
  }
}

extension PACConfiguration: Technique {
  public static let name = "p_ac"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .mask, "P-AC: pruning masks learnt with AC's loss",
    paper: "arXiv 2405.16534",
    cost: "the anchor images, and two forward and one backward pass for each sample of a step")

  public func check(_ model: DiffusionModel) throws { _ = try trainMethod.names(in: model.unetWeights) }

  /// The anchor images, which AC has too, and the masks, so that another threshold prunes without learning again.
  public func estimates(seed: UInt64) -> [Estimate] {
    guard loadPath == nil else { return [] }
    let images = training.anchorEstimate(samplerSettings, seed: seed)
    return [
      images,
      Estimate(
        name: "mask",
        inputs: [
          "settings": training.encode(affectingResult: true), "mask": mask.trainingInputs,
          "train_method": .string(trainMethod.rawValue), "images": images.inputs,
        ], needs: [images.name], work: training.work, sourceFile: Self.sourceFile
      ) { context in try trainedMask(context, latents: context.latents(of: images.name)) },
    ]
  }

  /// m of every masked weight, by its name, and the share of small gradients.
  private func trainedMask(_ context: EditContext, latents: Tensor) throws -> [String: Tensor] {
    let base = context.model
    let soft = try SoftMask(mask, of: base.unetWeights, group: trainMethod)
    let objective = try AblationObjective(training, base, latents: latents)
    let stream = RandomStream(seed: context.seed, "p_ac")
    func loss(
      _ step: Int, _ sample: Int, _ anchor: AblationObjective.Predictor, _ masks: [String: Tensor]
    ) throws -> Tensor {
      try objective.loss(of: soft.masked(masks), anchor: anchor, stream.item(step * training.batchSize + sample))
    }
    var tensors = try fineTuning(soft).run(
      context, start: soft.start, prepare: { _, masks in try objective.anchor(soft.masked(masks)) }, loss: loss
    ).tensors
    let share = try soft.smallGradientShare(samples: training.batchSize) { try loss(0, $0, objective.original, $1) }
    tensors[SoftMask.smallGradientsName] = Tensor(Float(share))
    return tensors
  }

  private func fineTuning(_ soft: SoftMask) -> FineTuning {
    FineTuning(
      steps: training.trainSteps, learningRate: training.learningRate, optimizer: soft.optimizer,
      batchSize: training.batchSize)
  }

  public var trainingMemory: TrainingMemory? {
    mask.trainingMemory(of: trainMethod, samples: training.batchSize)
  }

  public var editWork: ModelWork? {
    SoftMask.editWork(
      prompts: training.ablation.anchorPrompts.count,
      point: PartialTrajectory.work(steps: samplerSettings.steps, startGuidance: samplerSettings.guidanceScale))
  }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let model = context.model
    let ablation = training.ablation
    return try SoftMask(mask, of: model.unetWeights, group: trainMethod).edit(
      context.estimate("mask"), of: model, gapUnder: ablation.anchorPrompts.map { try ablation.targetPrompts($0)[0] },
      on: PartialTrajectory(model, steps: samplerSettings.steps, startGuidance: samplerSettings.guidanceScale),
      RandomStream(seed: context.seed, "p_ac gap"))
  }
}
