public import Configuration
public import Diffusion
public import Tensors

/// The two towers of the small CLIP: the `network` of its recipe file.
public struct CLIPNetworkRecipe: Configuration {
  public var textWidth = 128
  public var textLayers = 2
  public var textHeads = 4
  public var visionWidth = 64
  public var visionLayers = 3
  public var projection = 64
  public var visionAttributeWeight = 0.5
  public var textAttributeWeight = 0.1
  public var tokenIdentityWeight = 0.3
  public var wordListWeight = 0.3
  public var sparsityWeight = 0.5

  public init() {}

  public static var fields: [Field<CLIPNetworkRecipe>] {
    [
      Field("text_width", \.textWidth, .atLeast(8), "hidden size of the text tower, what the UNet is conditioned on"),
      Field("text_layers", \.textLayers, .atLeast(1), "transformer layers of the text tower"),
      Field("text_heads", \.textHeads, .atLeast(1), "attention heads of both towers"),
      Field("vision_width", \.visionWidth, .atLeast(8), "hidden size of the vision tower"),
      Field("vision_layers", \.visionLayers, .atLeast(1), "transformer layers of the vision tower"),
      Field("projection", \.projection, .atLeast(8), "size of the space that both towers share"),
      Field(
        "vision_attribute_weight", \.visionAttributeWeight, .atLeast(0),
        "weight of naming a picture's attributes from its pooled state, without which objects are not learnt"),
      Field(
        "text_attribute_weight", \.textAttributeWeight, .atLeast(0),
        "the same from the pooled state of a caption; high weights make aliases of synonyms"),
      Field(
        "token_identity_weight", \.tokenIdentityWeight, .atLeast(0),
        "weight of naming each token from its own hidden state, which keeps synonyms apart"),
      Field(
        "word_list_weight", \.wordListWeight, .atLeast(0),
        "weight of listing a caption's tokens from its pooled state, which keeps synonyms apart there"),
      Field(
        "sparsity_weight", \.sparsityWeight, .atLeast(0),
        "weight of the mean absolute hidden state over its root mean square: few active features a token, so that "
          + "a concept has weights of its own in what reads them"),
    ]
  }

  public func validate() throws(ConfigurationError) {
    try refuseUneven(textWidth, "text_width", by: textHeads, "text_heads")
    try refuseUneven(visionWidth, "vision_width", by: textHeads, "text_heads")
  }
}

/// Trains CLIP on drawn pictures and their captions by contrast (Radford et al., 2021), with auxiliary losses whose
/// heads are thrown away.
public struct CLIPTraining {
  let world: ShapesWorld
  let tokenizer: CLIPTokenizer
  let recipe: OptimizationRecipe
  let network: CLIPNetworkRecipe

  public init(world: ShapesWorld, tokenizer: CLIPTokenizer, recipe: OptimizationRecipe, network: CLIPNetworkRecipe) {
    self.world = world
    self.tokenizer = tokenizer
    self.recipe = recipe
    self.network = network
  }

  public var config: CLIPConfig {
    let text = CLIPTowerConfig(
      hiddenSize: network.textWidth, intermediateSize: 4 * network.textWidth, layers: network.textLayers,
      heads: network.textHeads, projectionSize: network.projection)
    let vision = CLIPTowerConfig(
      hiddenSize: network.visionWidth, intermediateSize: 2 * network.visionWidth, layers: network.visionLayers,
      heads: network.textHeads, projectionSize: network.projection)
    return CLIPConfig(
      text: CLIPTextConfig(
        tower: text, vocabularySize: tokenizer.vocabulary.count, maxPositions: tokenizer.modelMaxLength,
        beginToken: tokenizer.beginToken, endToken: tokenizer.endToken, padToken: tokenizer.padToken),
      vision: CLIPVisionConfig(tower: vision, imageSize: shapesImageSize, patchSize: 4))
  }

  /// The weights of both towers and projections, named as transformers' `CLIPModel` names them.
  public func run(_ monitor: TrainingMonitor) throws -> Weights {
    let start = Weights(initialising: RandomStream(seed: UInt64(recipe.seed), "clip", "initial weights"))
    _ = try CLIPModel(config, start.scope("clip"))
    _ = try heads(start)
    _ = try wordTable(start)
    let trainer = Trainer(start, recipe.trainerSettings)
    try monitor.run(trainer, part: "clip") { step, microBatch, weights in
      try loss(weights, first: step * recipe.batchSize + microBatch * recipe.microBatchSize)
    }
    let prefix = "clip."
    let towers = trainer.averagedWeights.tensors.filter { $0.name.hasPrefix(prefix) }
      .map { (String($0.name.dropFirst(prefix.count)), $0.tensor) }
    return Weights(Dictionary(towers, uniquingKeysWith: { $1 }), source: "the trained CLIP")
  }

  private func loss(_ weights: Weights, first: Int) throws -> Tensor {
    let samples = (first..<first + recipe.microBatchSize).map { world.sample(.train, $0) }
    let ids = samples.enumerated().map { index, sample in tokenizer.encode(sample.captions[(first + index) % 2]) }
    let clip = try CLIPModel(config, weights.scope("clip"))
    let (visionHead, textHead) = try heads(weights)

    let images = RGBImage.batch(samples.map(\.image))
    let imagePooled = clip.vision.pooled(clip.vision(images))
    let states = clip.text(ids)
    let textPooled = clip.text.pooled(states, ids)
    let similarity = clip.project(text: textPooled).normalizedRows()
      .matmul(clip.project(image: imagePooled).normalizedRows().transposedLast()) * clip.logitScale.exp()
    let matches = Array(0..<samples.count)
    let contrast =
      (crossEntropy(similarity, labels: matches) + crossEntropy(similarity.transposedLast(), labels: matches)) * 0.5

    let labels = samples.map { $0.scene.attributes.labels }
    return contrast
      + attributeLoss(visionHead(imagePooled), labels) * Float(network.visionAttributeWeight)
      + attributeLoss(textHead(textPooled), labels) * Float(network.textAttributeWeight)
      + tokenIdentityLoss(states, clip.text.tokenEmbedding, ids) * Float(network.tokenIdentityWeight)
      + wordListLoss(textPooled, try wordTable(weights), ids) * Float(network.wordListWeight)
      + activeShare(states) * Float(network.sparsityWeight)
  }

  private func heads(_ weights: Weights) throws -> (vision: Linear, text: Linear) {
    let classes = AttributeKind.allCases.reduce(0) { $0 + $1.classes.count }
    return (
      try Linear(weights.scope("heads.vision"), inputs: network.visionWidth, outputs: classes),
      try Linear(weights.scope("heads.text"), inputs: network.textWidth, outputs: classes)
    )
  }

  private func attributeLoss(_ scores: Tensor, _ labels: [[Int]]) -> Tensor {
    var first = 0
    let losses = AttributeKind.allCases.enumerated().map { index, kind in
      defer { first += kind.classes.count }
      return crossEntropy(scores.slice(axis: 1, first..<first + kind.classes.count), labels: labels.map { $0[index] })
    }
    return losses.dropFirst().reduce(losses[0], +)
  }

  /// Each hidden state should point to its own token's embedding rather than to another's: cross-entropy of cosines
  /// over a temperature of 0.1, counted up to the first end token.
  private func tokenIdentityLoss(_ states: Tensor, _ table: Tensor, _ ids: [[Int]]) -> Tensor {
    let width = states.shape[2]
    let cosines = states.reshaped([states.count / width, width]).normalizedRows()
      .matmul(table.normalizedRows().transposedLast())
    let labels = ids.flatMap { prompt -> [Int] in
      let end = prompt.firstIndex(of: tokenizer.endToken) ?? prompt.count - 1
      return prompt.enumerated().map { $0.offset <= end ? $0.element : -1 }
    }
    return crossEntropy(cosines * 10, labels: labels)
  }

  private func wordTable(_ weights: Weights) throws -> Tensor {
    try weights.tensor("heads.words", [tokenizer.vocabulary.count, network.textWidth], .normal(0.02))
  }

  /// A caption's pooled state should point to the tokens of that caption: cross-entropy between their even
  /// distribution and the softmax of cosines over a temperature of 0.1.
  private func wordListLoss(_ pooled: Tensor, _ table: Tensor, _ ids: [[Int]]) -> Tensor {
    let cosines = pooled.normalizedRows().matmul(table.normalizedRows().transposedLast())
    let count = tokenizer.vocabulary.count
    var targets = [Float](repeating: 0, count: ids.count * count)
    for (row, prompt) in ids.enumerated() {
      let words = Set(prompt).subtracting([tokenizer.beginToken, tokenizer.endToken])
      for word in words { targets[row * count + word] = -1 / Float(words.count * ids.count) }
    }
    return ((cosines * 10).logSoftmax() * Tensor(targets, shape: [ids.count, count])).sum()
  }

  /// Mean absolute value over root mean square of each hidden state, averaged: 0.8 for normal values, sqrt(k / n)
  /// where k of n features are active.
  private func activeShare(_ states: Tensor) -> Tensor {
    (states.abs().mean(axis: -1) / (states.square().mean(axis: -1) + 1e-6).squareRoot()).mean()
  }
}
