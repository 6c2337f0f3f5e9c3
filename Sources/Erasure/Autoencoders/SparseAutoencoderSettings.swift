public import Configuration
public import Diffusion
public import Tensors

/// What decides a sparse autoencoder: the layer, the pictures whose activations it learns from, and its training
/// (SAeUron, arXiv 2501.18052). The technique and the recipe of `lethe train sae` hold these settings beside their own,
/// and share what is trained by them.
public struct SparseAutoencoderSettings: Configuration, Equatable {
  public var hookpoint: String?
  public var trainingPrompts: [String]?
  public var trainingImages = 1
  public var expansionFactor = 16
  public var k = 32
  public var effectiveBatchSize = 4096
  public var numEpochs = 5
  public var learningRate = 4e-4
  public var auxkAlpha = 1.0 / 32
  public var deadFeatureThreshold = 10_000_000

  public init() {}

  /// The layer that the publication erases objects in.
  private static let publishedLayer = "up_blocks.1.attentions.1"

  /// The transformer whose output the autoencoder codes.
  public var layer: String { hookpoint ?? Self.publishedLayer }

  public static let fields: [Field<SparseAutoencoderSettings>] = [
    Field(
      "hookpoint", \.hookpoint, filledBy: .baseModel, otherwise: publishedLayer, .notEmpty,
      "The transformer whose output the autoencoder codes, as diffusers names it", source: publication),
    Field(
      "training_prompts", \.trainingPrompts, .notEmpty,
      "Prompts of many concepts whose pictures an autoencoder is trained on, other than those it is judged by",
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
  ]

  // MARK: Where an autoencoder comes from

  /// The autoencoder that is trained on the activations of the conditional half of guidance, of all steps and
  /// positions, with its ``SparseAutoencoder/Fit`` to them.
  ///
  /// - Parameter sampler: how the pictures are drawn
  public func training(sampler: SamplerSettings, seed: UInt64) -> Estimate {
    let prompts = trainingPrompts ?? []
    return Estimate(
      name: Self.estimateName,
      inputs: [
        "hookpoint": .string(layer), "prompts": prompts.json, "images": trainingImages.json,
        "expansion_factor": expansionFactor.json, "k": k.json, "batch_size": effectiveBatchSize.json,
        "epochs": numEpochs.json, "lr": learningRate.json, "auxk_alpha": auxkAlpha.json,
        "dead_feature_threshold": deadFeatureThreshold.json, "sampler": sampler.inputs, "seed": .integer(Int(seed)),
      ]
    ) { context in
      var maps: [Tensor] = []
      try LayerActivations(
        layer: layer, prompts: prompts, repetitions: trainingImages, sampler: sampler, seed: seed
      ).collect(context.model, monitor: context.monitor) { maps += $0 }
      let all = concatenate(maps, axis: 1)
      let vectors = all.reshaped([all.shape[1], all.shape[2]])
      let trained = try SparseAutoencoderTraining(self, seed: seed).train(vectors, context).autoencoder
      return estimate(trained).merging(try trained.fit(to: vectors).tensors) { $1 }
    }
  }

  /// The autoencoder of a file, which is refused where it is of another layer, width or base model.
  public func reading(_ file: EstimateFile) -> Estimate {
    func read(_ context: EditContext) throws -> SparseAutoencoder {
      let autoencoder = try SparseAutoencoder(loading: context.path(of: file))
      try autoencoder.check(fits: layer, of: context.model, digest: context.modelDigest)
      return autoencoder
    }
    return Estimate(
      name: Self.estimateName, inputs: ["hookpoint": .string(layer)], files: [file], work: .nothing,
      check: { _ = try read($0) }
    ) { try estimate(read($0)) }
  }

  private static let estimateName = "autoencoder", kName = "k"

  private func estimate(_ autoencoder: SparseAutoencoder) -> [String: Tensor] {
    autoencoder.tensors.merging([Self.kName: Tensor(Float(autoencoder.k))]) { $1 }
  }

  /// The autoencoder that an estimate of these settings holds.
  ///
  /// - Throws: ``ErasureError`` for tensors that are those of none.
  public func autoencoder(of estimate: [String: Tensor], base: String? = nil) throws -> SparseAutoencoder {
    try SparseAutoencoder(
      layer: layer, k: estimate[Self.kName].map { Int($0.item) } ?? 0, base: base, tensors: estimate,
      source: "the autoencoder")
  }
}

extension SamplerSettings {
  /// What an estimate's key says of the pictures that are drawn for it.
  var inputs: JSON { .object(members) }

  /// The same, to stand beside other inputs; a scheduler is there where it is not the folder's own.
  var members: [String: JSON] {
    var members: [String: JSON] = [
      "num_inference_steps": .integer(steps), "guidance_scale": .number(guidanceScale),
    ]
    members["scheduler"] = scheduler.map(\.json)
    if eta != 0 { members["eta"] = .number(eta) }
    return members
  }
}

private let publication = "arXiv 2501.18052"
