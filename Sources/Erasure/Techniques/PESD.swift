public import Configuration
public import Diffusion
internal import Tensors

/// P-ESD (arXiv 2405.16534): masks of the weights learn ESD's loss, and what they rule out is pruned.
public struct PESDConfiguration: Configuration {
  /// The paper follows ESD's script of 2023.
  public var training = {
    var training = ESDSettings()
    training.target = .fromUnconditional
    training.negativeGuidance = 1
    training.sampledModel = .trained
    training.trainSteps = 250
    training.learningRate = 0.1
    return training
  }()
  public var mask = SoftMaskSettings()
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<PESDConfiguration>] =
    ESDSettings.fields.map { $0.inside(\.training) }
      .sourced(
        ["target_form", "negative_guidance", "sampled_model", "train_steps", "learning_rate"], "seed document 001")
      + SoftMaskSettings.fields.map { $0.inside(\.mask) }
      + [.saveMask(\.savePath), .loadMask(\.loadPath)] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var inForce: [String: JSON] { training.inForce }

  public var warnings: [String] {
    guard loadPath == nil else { return [] }
    var warnings = training.warnings
    if mask.maskInit * mask.temperature < 5 {
      warnings.append(
        "mask_init \(mask.maskInit.json.canonical()) at temperature \(mask.temperature.json.canonical()): "
          + "the masks shrink the weights visibly before training begins")
    }
    return warnings
  }

  public func validate() throws(ConfigurationError) {
    try training.validate()
    try mask.validate()
  }
}

extension PESDConfiguration: Technique {
  public static let name = "p_esd"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .mask, "P-ESD: pruning masks learnt with ESD's loss",
    paper: "arXiv 2405.16534",
    cost: "for each training sample half a guided drawing, a pass of two texts, and a forward and a backward pass")

  public func check(_ model: DiffusionModel) throws { _ = try training.trainMethod.names(in: model.unetWeights) }

  public func estimates(seed: UInt64) -> [Estimate] {
    guard loadPath == nil else { return [] }
    return [
      Estimate(
        name: "mask",
        inputs: [
          "settings": training.encode(affectingResult: true), "mask": mask.trainingInputs,
          "num_inference_steps": samplerSettings.steps.json, "seed": .integer(Int(seed)),
        ], work: training.work(steps: samplerSettings.steps), sourceFile: Self.sourceFile
      ) { context in try trained(context) }
    ]
  }

  /// m of every masked weight, by its name, and the share of small gradients.
  private func trained(_ context: EditContext) throws -> [String: Tensor] {
    let base = context.model
    let objective = try ESDObjective(
      base, training, steps: samplerSettings.steps, seed: context.seed, isCancelled: context.monitor.isCancelled)
    let soft = try SoftMask(mask, of: base.unetWeights, group: training.trainMethod)
    func loss(_ sample: ESDObjective.Sample, _ masks: [String: Tensor]) throws -> Tensor {
      objective.loss(
        sample, try UNet2DConditionModel(base.unet.config, base.unetWeights.replacing(soft.masked(masks))))
    }
    func samples(_ iteration: Int, _ masks: [String: Tensor]) throws -> [ESDObjective.Sample] {
      try objective.samples(iteration) { try base.replacingUNetWeights(soft.masked(masks)) }
    }
    let fineTuning = FineTuning(
      steps: training.trainSteps, learningRate: training.learningRate, optimizer: soft.optimizer,
      batchSize: training.batchSize)
    var tensors = try fineTuning.run(
      context, start: soft.start, prepare: samples,
      loss: { _, index, samples, masks in try loss(samples[index], masks) }
    ).tensors
    let first = try samples(0, soft.start)
    tensors[SoftMask.smallGradientsName] = Tensor(
      Float(try soft.smallGradientShare(samples: first.count) { try loss(first[$0], $1) }))
    return tensors
  }

  public var trainingMemory: TrainingMemory? {
    mask.trainingMemory(of: training.trainMethod, samples: training.batchSize)
  }

  public var editWork: ModelWork? {
    SoftMask.editWork(
      prompts: training.prompts.count,
      point: PartialTrajectory.work(
        steps: samplerSettings.steps, startGuidance: training.startGuidance, pairing: training.timestepPairing))
  }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let model = context.model
    return try SoftMask(mask, of: model.unetWeights, group: training.trainMethod).edit(
      context.estimate("mask"), of: model, gapUnder: training.prompts,
      on: PartialTrajectory(
        model, steps: samplerSettings.steps, startGuidance: training.startGuidance, pairing: training.timestepPairing),
      RandomStream(seed: context.seed, "p_esd gap"))
  }
}
