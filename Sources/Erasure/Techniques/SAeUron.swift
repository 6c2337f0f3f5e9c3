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
  public var autoencoderPath: String?
  public var autoencoder = SparseAutoencoderSettings()
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
      "autoencoder_path", \.autoencoderPath, Rule("ending in .safetensors") { $0.hasSuffix(".safetensors") },
      "A file of a trained autoencoder of that layer; if unset one is trained on training_prompts, and where there are "
        + "none it is the one that the base model declares",
      source: document, role: .path),
  ] + SparseAutoencoderSettings.fields.map { $0.inside(\.autoencoder) }
    + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var warnings: [String] {
    var warnings: [String] = []
    if autoencoderPath != nil, autoencoder.trainingPrompts != nil {
      warnings.append("autoencoder_path is set: nothing is trained, and training_prompts are not used")
    }
    if contrastPrompts == nil {
      warnings.append(
        "contrast_prompts is not set: the features of \"\(eraseConcept)\" are those of the largest mean in "
          + "\(numImages) pictures of it, which are drawn first, other concepts' among them")
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

  public func check(_ model: DiffusionModel) throws {
    _ = try SparseAutoencoder.width(of: autoencoder.layer, in: model.unetWeights)
  }

  public func estimates(seed: UInt64) -> [Estimate] {
    let contrast = contrastPrompts.map { [statistics("contrast", activations($0, seed: seed), seed: seed)] } ?? []
    return [autoencoder(seed: seed), statistics("concept", conceptActivations(seed: seed), seed: seed)] + contrast
  }

  private func activations(_ prompts: [String], repetitions: Int = 1, seed: UInt64) -> LayerActivations {
    LayerActivations(
      layer: autoencoder.layer, prompts: prompts, repetitions: repetitions, sampler: samplerSettings, seed: seed)
  }

  private func conceptActivations(seed: UInt64) -> LayerActivations {
    activations(
      conceptPrompts ?? [eraseConcept], repetitions: contrastPrompts == nil ? numImages : 1, seed: seed)
  }

  /// The autoencoder that is named, else the one that is trained, else the one that the base model declares.
  private func autoencoder(seed: UInt64) -> Estimate {
    if let autoencoderPath { return autoencoder.reading(.named(autoencoderPath)) }
    if autoencoder.trainingPrompts != nil { return autoencoder.training(sampler: samplerSettings, seed: seed) }
    return autoencoder.reading(.declaredAutoencoder(layer: autoencoder.layer))
  }

  private func statistics(_ set: String, _ activations: LayerActivations, seed: UInt64) -> Estimate {
    Estimate(
      name: "statistics.\(set)",
      inputs: [
        "autoencoder": autoencoder(seed: seed).inputs, "prompts": activations.prompts.json,
        "images": activations.repetitions.json, "sampler": activations.sampler.inputs, "seed": .integer(Int(seed)),
      ],
      needs: ["autoencoder"], work: activations.work
    ) { context in
      let autoencoder = try autoencoder.autoencoder(of: context.estimate("autoencoder"))
      return [
        "means": try FeatureStatistics(activations).means(context.model, autoencoder, monitor: context.monitor)
      ]
    }
  }

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let trained = try context.estimate("autoencoder")
    let suppression = try self.suppression(context)
    var tensors = try autoencoder.autoencoder(of: trained).tensors
    tensors["k"] = trained["k"]
    tensors["feature.change"] = suppression.change
    tensors["feature.threshold"] = suppression.threshold
    let features = suppression.features
    var details: [String: JSON] = [
      "feature_score": contrastPrompts == nil ? "mean magnitude" : "contrast",
      "features_by_step": .array(features.map(\.json)), "latents": .integer(suppression.change.shape[1]),
    ]
    // Known where it was trained here.
    details["autoencoder_fit"] = SparseAutoencoder.Fit(tensors: trained)?.json
    return ModelEdit(inferenceTensors: tensors, details: .object(details))
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
    let trained = try autoencoder.autoencoder(of: tensors)
    try trained.check(fits: autoencoder.layer, of: model)
    return FeatureSuppression(change: change, threshold: threshold)
      .intervention(trained, halves: halves, turnsResidual: turnResidual)
  }
}

private let document = "seed document 004"
private let publication = "arXiv 2501.18052"
