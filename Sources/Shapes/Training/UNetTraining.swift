public import Configuration
public import Diffusion
public import Tensors

/// The UNet: the `network` of its recipe file.
public struct UNetNetworkRecipe: Configuration {
  public var channels = [96, 192]
  public var layersPerBlock = 1
  public var heads = 4
  public var normGroups = 16
  public var pictures = 40000
  public var emptyCaptions = 0.1

  public init() {}

  public static var fields: [Field<UNetNetworkRecipe>] {
    [
      Field("channels", \.channels, .each(.atLeast(1)), "channels at each resolution, from 8 x 8 down"),
      Field("layers_per_block", \.layersPerBlock, .atLeast(1), "residual blocks at each resolution"),
      Field("heads", \.heads, .atLeast(1), "attention heads"),
      Field("norm_groups", \.normGroups, .atLeast(1), "groups of the group normalisation"),
      Field(
        "pictures", \.pictures, .between(1...1_000_000), "pictures of the world that are encoded once and trained on"),
      Field(
        "empty_captions", \.emptyCaptions, .between(0...1),
        "share of captions replaced by the empty prompt, for classifier-free guidance"),
    ]
  }

  public func validate() throws(ConfigurationError) {
    for channels in channels {
      try refuseUneven(channels, "channels", by: heads, "heads")
      try refuseUneven(channels, "channels", by: normGroups, "norm_groups")
    }
  }
}

/// Trains the UNet to predict the noise in latents of drawn pictures (Ho et al., 2020; Rombach et al., 2022).
public struct UNetTraining {
  let world: ShapesWorld
  let tokenizer: CLIPTokenizer
  let textEncoder: CLIPTextModel
  let autoencoder: AutoencoderKL
  let schedule: NoiseSchedule
  let recipe: OptimizationRecipe
  let network: UNetNetworkRecipe

  public init(
    world: ShapesWorld, tokenizer: CLIPTokenizer, textEncoder: CLIPTextModel, autoencoder: AutoencoderKL,
    schedule: NoiseSchedule, recipe: OptimizationRecipe, network: UNetNetworkRecipe
  ) {
    self.world = world
    self.tokenizer = tokenizer
    self.textEncoder = textEncoder
    self.autoencoder = autoencoder
    self.schedule = schedule
    self.recipe = recipe
    self.network = network
  }

  public var config: UNetConfig {
    var config = UNetConfig()
    config.sampleSize = shapesImageSize / autoencoder.config.reduction
    config.inChannels = autoencoder.config.latentChannels
    config.outChannels = autoencoder.config.latentChannels
    config.downBlocks = network.channels.map { _ in .crossAttention }
    config.upBlocks = config.downBlocks
    config.blockChannels = network.channels
    config.layersPerBlock = network.channels.map { _ in network.layersPerBlock }
    config.transformerLayers = network.channels.map { _ in 1 }
    config.heads = network.channels.map { _ in network.heads }
    config.normGroups = network.normGroups
    config.crossAttentionSize = textEncoder.config.tower.hiddenSize
    return config
  }

  public func run(_ monitor: TrainingMonitor) throws -> Weights {
    let start = Weights(initialising: RandomStream(seed: UInt64(recipe.seed), "unet", "initial weights"))
    _ = try UNet2DConditionModel(config, start)
    let trainer = Trainer(start, recipe.trainerSettings)
    let latents = try encodedPictures()
    let ids = try captions()
    let empty = tokenizer.encode("")
    let size = recipe.microBatchSize
    let choices = RandomStream(seed: UInt64(recipe.seed), "unet", "choices")
    let noises = RandomStream(seed: UInt64(recipe.seed), "unet", "noise")
    try monitor.run(trainer, part: "unet") { step, microBatch, weights in
      let first = step * recipe.batchSize + microBatch * size
      let item = choices.item(first)
      let picks = item.integers(size, below: network.pictures)
      let uniforms = item.substream("captions").uniform(2 * size)
      let timesteps = item.substream("timesteps").integers(size, below: schedule.trainTimesteps)
      let prompts = (0..<size).map { index in
        Double(uniforms[index]) < network.emptyCaptions
          ? empty : ids[picks[index]][uniforms[size + index] < 0.5 ? 0 : 1]
      }
      let clean = concatenate(
        picks.map { latents[$0 / encodeBatch].slice(axis: 0, $0 % encodeBatch..<$0 % encodeBatch + 1) }, axis: 0)
      let noise = noises.item(first).normal(clean.shape)
      let noisy = schedule.addNoise(clean, noise: noise, timesteps: timesteps)
      let unet = try UNet2DConditionModel(config, weights)
      return mseLoss(unet(noisy, timesteps: timesteps, encoderHiddenStates: textEncoder(prompts)), noise)
    }
    return trainer.averagedWeights
  }

  private var encodeBatch: Int { 64 }

  /// Latents of all pictures (the means of their posteriors), 64 to a tensor.
  private func encodedPictures() throws -> [Tensor] {
    try parallelMap((network.pictures + encodeBatch - 1) / encodeBatch) { part in
      let range = part * encodeBatch..<min(network.pictures, (part + 1) * encodeBatch)
      return autoencoder.scaled(autoencoder.encode(RGBImage.batch(range.map { world.scene(.train, $0).drawn() })).mean)
    }
  }

  /// The token ids of both captions of each picture.
  private func captions() throws -> [[[Int]]] {
    try parallelMap(network.pictures) { index in
      world.captions(.train, index, of: world.scene(.train, index)).map(tokenizer.encode)
    }
  }
}
