public import Configuration
public import Diffusion
public import Tensors

/// SAeUron (Cywiński and Deja, ICML 2025, arXiv 2501.18052): a sparse autoencoder tells the features of a concept in
/// the output of one transformer, and they are suppressed while a picture is drawn. No weight changes.
public struct SAeUronConfiguration: Configuration {
  public var eraseConcept = "nudity"
  public var conceptPrompts: [String]?
  public var contrastPrompts: [String]?
  public var numImages = 20
  public var featureStep = 10
  public var percentile = 99.999
  public var topFeatures: Int?
  public var multiplier = -20.0
  public var halves = GuidanceHalves.conditional
  public var turnResidual = false
  public var hookpoint = "up_blocks.1.attentions.1"
  public var autoencoderPath: String?
  public var trainingPrompts: [String]?
  public var trainingImages = 1
  public var expansionFactor = 16
  public var k = 32
  public var effectiveBatchSize = 4096
  public var numEpochs = 5
  public var learningRate = 4e-4
  public var auxkAlpha = 1.0 / 32
  public var deadFeatureThreshold = 10_000_000
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<SAeUronConfiguration>] = [
    Field(
      "erase_concept", \.eraseConcept, .notEmpty,
      "The concept to suppress; the prompt of its pictures if concept_prompts is not set", source: document,
      role: .concept),
    Field(
      "multiplier", \.multiplier, Rule("other than 0") { $0 != 0 },
      "What the features of the concept are scaled by, besides their mean: below 0 suppresses it, above 0 amplifies it",
      source: document),
    Field(
      "concept_prompts", \.conceptPrompts, .notEmpty,
      "Prompts of the concept, whose pictures its features are found in; [erase_concept] if unset", source: publication,
      role: .prompt),
    Field(
      "contrast_prompts", \.contrastPrompts, .notEmpty,
      "Prompts of other concepts, as many of each as of this one: the features are those that tell it from them. If "
        + "unset they are those of the largest mean at feature_step in num_images pictures of the concept",
      source: publication, role: .prompt),
    Field(
      "num_images", \.numImages, .atLeast(1),
      "Pictures of each concept prompt where contrast_prompts is not set; where it is each prompt has one picture",
      source: document),
    Field(
      "feature_step", \.featureStep, .atLeast(1),
      "The denoising step, from 1, that the features are taken at where contrast_prompts is not set", source: document),
    Field(
      "percentile", \.percentile, .between(0...100),
      "Features are the latents whose score is above this percentile of a step's scores; of a small autoencoder that "
        + "is a single one", source: publication),
    Field(
      "top_features", \.topFeatures, .atLeast(1), "The number of features of a step, in place of percentile"),
    Field(
      "halves", \.halves,
      "The passes of guidance that are changed: \"cond\" (seed document 004) or \"both\" (published script)",
      source: document),
    Field(
      "turn_residual", \.turnResidual,
      "Add what the autoencoder does not explain with its sign turned, as the published script does; the passes change "
        + "even where no feature is active",
      source: publication),
    Field(
      "hookpoint", \.hookpoint, .notEmpty, "The transformer whose output is changed, as diffusers names it",
      source: publication),
    Field(
      "autoencoder_path", \.autoencoderPath, Rule("ending in .safetensors") { $0.hasSuffix(".safetensors") },
      "A trained autoencoder of that layer; if unset one is trained", source: document, role: .path),
    Field(
      "training_prompts", \.trainingPrompts, .notEmpty,
      "Prompts of many concepts whose pictures the autoencoder is trained on, other than those it is judged by; needed "
        + "where autoencoder_path is not set",
      source: publication, role: .prompt),
    Field("training_images", \.trainingImages, .atLeast(1), "Pictures of each training prompt"),
    Field(
      "expansion_factor", \.expansionFactor, .atLeast(1), "Latents of the autoencoder for each channel of the layer",
      source: publication),
    Field("k", \.k, .atLeast(1), "Latents that the autoencoder keeps of a vector", source: publication),
    Field(
      "effective_batch_size", \.effectiveBatchSize, .atLeast(2), "Vectors of a step of its training",
      source: publication),
    Field("num_epochs", \.numEpochs, .atLeast(1), "Passes of its training over all vectors", source: publication),
    Field("lr", \.learningRate, .greaterThan(0), "Learning rate, which falls linearly to 0", source: publication),
    Field(
      "auxk_alpha", \.auxkAlpha, .atLeast(0),
      "Weight of the loss that asks dead latents to explain what the others leave", source: publication),
    Field(
      "dead_feature_threshold", \.deadFeatureThreshold, .between(1...(1 << 24)),
      "Vectors that pass before a latent that has not fired counts as dead", source: publication),
  ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var warnings: [String] {
    var warnings: [String] = []
    if autoencoderPath == nil, trainingPrompts == nil {
      warnings.append("neither autoencoder_path nor training_prompts is set: the run needs one of them")
    }
    if contrastPrompts == nil {
      warnings.append(
        "contrast_prompts is not set: the features of \"\(eraseConcept)\" are those of the largest mean in "
          + "\(numImages) pictures of it, other concepts' among them")
    }
    if multiplier > 0 { warnings.append("multiplier is above 0: the concept is amplified") }
    return warnings
  }

  public func validate() throws(ConfigurationError) {
    // Also where the base model or the default fills it in.
    guard samplerSettings.guidanceScale > 1 else {
      throw ConfigurationError(
        keyPath: "guidance_scale", "expected a number greater than 1: without guidance there is no conditional half")
    }
    guard contrastPrompts != nil || featureStep <= samplerSettings.steps else {
      throw ConfigurationError(
        keyPath: "feature_step", "step \(featureStep) is past the last of \(samplerSettings.steps) inference steps")
    }
  }
}

extension SAeUronConfiguration: Technique {
  public static let name = "saeuron"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .hook, "SAeUron: features of a sparse autoencoder suppressed",
    paper: "Cywiński and Deja, ICML 2025, arXiv 2501.18052",
    cost: "a picture for each prompt, and an autoencoder to train unless there is one; two matrix products a pass")

  public func estimates(seed: UInt64) -> [Estimate] {
    let contrast = contrastPrompts.map { [statistics("contrast", activations($0, seed: seed), seed: seed)] } ?? []
    return [autoencoder(seed: seed), statistics("concept", conceptActivations(seed: seed), seed: seed)] + contrast
  }

  private func activations(_ prompts: [String], repetitions: Int = 1, seed: UInt64) -> LayerActivations {
    LayerActivations(
      layer: hookpoint, prompts: prompts, repetitions: repetitions, sampler: samplerSettings, seed: seed)
  }

  private func conceptActivations(seed: UInt64) -> LayerActivations {
    activations(
      conceptPrompts ?? [eraseConcept], repetitions: contrastPrompts == nil ? numImages : 1, seed: seed)
  }

  private var files: [String] { autoencoderPath.map { [$0] } ?? [] }

  private func autoencoder(seed: UInt64) -> Estimate {
    Estimate(name: "autoencoder", inputs: autoencoderInputs(seed: seed), files: files) { context in
      let autoencoder: SparseAutoencoder
      var losses: [Double] = []
      if let path = autoencoderPath {
        autoencoder = try SparseAutoencoder(loading: context.path(of: path))
        try autoencoder.check(fits: hookpoint, of: context.model)
      } else {
        (autoencoder, losses) = try train(context, seed: seed)
      }
      return autoencoder.tensors.merging(
        ["k": Tensor(Float(autoencoder.k)), "losses": Tensor(losses.map(Float.init), shape: [losses.count])]
      ) { $1 }
    }
  }

  private func autoencoderInputs(seed: UInt64) -> JSON {
    if let autoencoderPath { return ["path": .string(autoencoderPath), "hookpoint": .string(hookpoint)] }
    return [
      "hookpoint": .string(hookpoint), "prompts": (trainingPrompts ?? []).json, "images": trainingImages.json,
      "expansion_factor": expansionFactor.json, "k": k.json, "batch_size": effectiveBatchSize.json,
      "epochs": numEpochs.json, "lr": learningRate.json, "auxk_alpha": auxkAlpha.json,
      "dead_feature_threshold": deadFeatureThreshold.json, "sampler": samplerInputs, "seed": .integer(Int(seed)),
    ]
  }

  private var samplerInputs: JSON {
    [
      "num_inference_steps": .integer(samplerSettings.steps),
      "guidance_scale": .number(samplerSettings.guidanceScale),
    ]
  }

  private func train(_ context: EditContext, seed: UInt64) throws -> (SparseAutoencoder, [Double]) {
    guard let trainingPrompts else {
      throw ErasureError("saeuron needs an autoencoder: set autoencoder_path, or training_prompts to train one")
    }
    var maps: [Tensor] = []
    try activations(trainingPrompts, repetitions: trainingImages, seed: seed)
      .collect(context.model, monitor: context.monitor) { maps += $0 }
    let vectors = concatenate(maps, axis: 1)
    var training = SparseAutoencoderTraining(seed: seed)
    training.expansionFactor = expansionFactor
    training.k = k
    training.batchSize = effectiveBatchSize
    training.epochs = numEpochs
    training.learningRate = learningRate
    training.auxiliaryWeight = auxkAlpha
    training.deadThreshold = deadFeatureThreshold
    return try training.train(vectors.reshaped([vectors.shape[1], vectors.shape[2]]), layer: hookpoint, context)
  }

  private func statistics(_ set: String, _ activations: LayerActivations, seed: UInt64) -> Estimate {
    Estimate(
      name: "statistics.\(set)",
      inputs: [
        "autoencoder": autoencoderInputs(seed: seed), "prompts": activations.prompts.json,
        "images": activations.repetitions.json, "sampler": samplerInputs, "seed": .integer(Int(seed)),
      ],
      needs: ["autoencoder"], files: files
    ) { context in
      let autoencoder = try self.autoencoder(context.estimate("autoencoder"))
      return [
        "means": try FeatureStatistics(activations).means(context.model, autoencoder, monitor: context.monitor)
      ]
    }
  }

  private func autoencoder(_ tensors: [String: Tensor]) throws -> SparseAutoencoder {
    try SparseAutoencoder(
      layer: hookpoint, k: tensors["k"].map { Int($0.item) } ?? 0, tensors: tensors, source: "the autoencoder")
  }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let trained = try context.estimate("autoencoder")
    let suppression = try self.suppression(context)
    var tensors = try self.autoencoder(trained).tensors
    tensors["k"] = trained["k"]
    tensors["feature.change"] = suppression.change
    tensors["feature.threshold"] = suppression.threshold
    let features = suppression.features
    return ModelEdit(
      inferenceTensors: tensors,
      details: [
        "feature_score": contrastPrompts == nil ? "mean magnitude" : "contrast",
        "features_by_step": .array(features.map(\.json)),
        "latents": .integer(suppression.change.shape[1]),
        // The share of variance that the autoencoder leaves unexplained, in the course of its training.
        "training_loss": .array((trained["losses"]?.values ?? []).map { .number(Double($0)) }),
      ])
  }

  private func suppression(_ context: EditContext) throws -> FeatureSuppression {
    guard let concept = try context.estimate("statistics.concept")["means"] else {
      throw ErasureError("the statistics of the concept have no means")
    }
    let count = topFeatures.map(FeatureCount.best) ?? .percentile(percentile)
    guard let contrastPrompts else {
      return FeatureSuppression(concept: concept, step: featureStep - 1, count: count, multiplier: multiplier)
    }
    guard let others = try context.estimate("statistics.contrast")["means"] else {
      throw ErasureError("the statistics of the other concepts have no means")
    }
    let prompts = conceptPrompts?.count ?? 1
    return FeatureSuppression(
      concept: concept, others: others, conceptShare: Double(prompts) / Double(prompts + contrastPrompts.count),
      count: count, multiplier: multiplier)
  }

  public func intervention(
    _ model: DiffusionModel, tensors: [String: Tensor]
  ) throws -> SamplingIntervention {
    guard let change = tensors["feature.change"], let threshold = tensors["feature.threshold"] else {
      throw ErasureError("the edit has no features")
    }
    let autoencoder = try self.autoencoder(tensors)
    try autoencoder.check(fits: hookpoint, of: model)
    return FeatureSuppression(change: change, threshold: threshold)
      .intervention(autoencoder, halves: halves, turnsResidual: turnResidual)
  }
}

private let document = "seed document 004"
private let publication = "arXiv 2501.18052"
