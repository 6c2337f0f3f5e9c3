public import Configuration
public import Diffusion
public import Tensors

/// The autoencoder: the `network` of its recipe file.
public struct AutoencoderNetworkRecipe: Configuration {
  public var channels = [8, 24, 48]
  public var latentChannels = 8
  public var normGroups = 4

  public init() {}

  public static var fields: [Field<AutoencoderNetworkRecipe>] {
    [
      Field("channels", \.channels, .each(.atLeast(1)), "channels at each resolution, from 32 x 32 down"),
      Field("latent_channels", \.latentChannels, .atLeast(1), "channels of a latent"),
      Field("norm_groups", \.normGroups, .atLeast(1), "groups of the group normalisation"),
    ]
  }

  public func validate() throws(ConfigurationError) {
    for channels in channels { try refuseUneven(channels, "channels", by: normGroups, "norm_groups") }
    guard channels.count <= mostLevels else {
      throw ConfigurationError(
        keyPath: "channels",
        "\(channels.count) levels halve a picture of \(shapesImageSize) pixels too often, \(mostLevels) are the most")
    }
  }

  /// As many as leave a latent of one pixel.
  private var mostLevels: Int { shapesImageSize.trailingZeroBitCount + 1 }

  /// Height and width of a latent.
  var latentSize: Int { shapesImageSize >> (channels.count - 1) }
}

/// Trains the autoencoder on drawn pictures: small batches and many steps, since colours come last.
public struct AutoencoderTraining {
  let world: ShapesWorld
  let recipe: OptimizationRecipe
  let network: AutoencoderNetworkRecipe

  public init(world: ShapesWorld, recipe: OptimizationRecipe, network: AutoencoderNetworkRecipe) {
    self.world = world
    self.recipe = recipe
    self.network = network
  }

  public var config: AutoencoderConfig {
    var config = AutoencoderConfig()
    config.blockChannels = network.channels
    config.layersPerBlock = 1
    config.latentChannels = network.latentChannels
    config.normGroups = network.normGroups
    config.sampleSize = shapesImageSize
    config.scalingFactor = 1
    return config
  }

  /// - Parameter judge: weights of a trained judge, whose early maps the perceptual part of the loss compares
  public func run(_ monitor: TrainingMonitor, judge: Weights) throws -> Weights {
    let start = Weights(initialising: RandomStream(seed: UInt64(recipe.seed), "autoencoder", "initial weights"))
    _ = try AutoencoderKL(config, start)
    let judge = try JudgeNetwork(judge)
    let noise = RandomStream(seed: UInt64(recipe.seed), "autoencoder", "posterior")
    let trainer = Trainer(start, recipe.trainerSettings)
    let size = recipe.microBatchSize
    try monitor.run(trainer, part: "autoencoder") { step, microBatch, weights in
      let first = step * recipe.batchSize + microBatch * size
      let images = RGBImage.batch((first..<first + size).map { world.scene(.train, $0).drawn() })
      let autoencoder = try AutoencoderKL(config, weights)
      let posterior = autoencoder.encode(images)
      let latents = posterior.sample(noise: noise.item(first).normal(posterior.mean.shape))
      return loss(autoencoder.decode(latents), images, posterior, judge)
    }
    return try standardised(trainer.averagedWeights)
  }

  private func loss(
    _ drawn: Tensor, _ images: Tensor, _ posterior: AutoencoderKL.Posterior, _ judge: JudgeNetwork
  ) -> Tensor {
    let perceptual = zip(judge.earlyMaps(drawn), judge.earlyMaps(images)).map { l1Loss($0, $1.detached) }
    // What the judge makes of a picture moves with shades that no pixel loss minds: colours are lost without this.
    let judged = l1Loss(judge.features(drawn), judge.features(images).detached)
    let divergence = (posterior.mean.square() + posterior.logVariance.exp() - posterior.logVariance - 1).mean() * 0.5
    return l1Loss(drawn, images) + mseLoss(drawn, images) * 2 + l1Loss(pooled(drawn), pooled(images)) * 0.5
      + (perceptual[0] + perceptual[1] + judged) * 0.1 + divergence * 1e-4
  }

  /// The mean of each block of 4 x 4 pixels: where a wrong colour counts most.
  private func pooled(_ images: Tensor) -> Tensor {
    let side = images.shape[2] / 4
    return images.reshaped([images.shape[0] * 3, side, 4, side, 4]).mean(axis: 4).mean(axis: 2)
  }

  /// Folds the mean and standard deviation of each latent channel into the two quant convolutions, exactly, so that
  /// latents have mean 0 and deviation 1 and the scaling factor is 1.
  private func standardised(_ weights: Weights) throws -> Weights {
    let autoencoder = try AutoencoderKL(config, weights)
    let channels = network.latentChannels
    let parts = try parallelMap(32) { part -> Tensor in
      autoencoder.encode(RGBImage.batch((0..<64).map { world.scene(.train, part * 64 + $0).drawn() })).mean
    }
    let latents = concatenate(parts, axis: 0)
    let perChannel = latents.permuted([1, 0, 2, 3]).reshaped([channels, latents.count / channels])
    let mean = perChannel.mean(axis: 1)
    let deviation = (perChannel - mean.reshaped([channels, 1])).square().mean(axis: 1).squareRoot()

    let quantWeight = try weights.tensor("quant_conv.weight", [2 * channels, 2 * channels, 1, 1], .zeros)
    let quantBias = try weights.tensor("quant_conv.bias", [2 * channels], .zeros)
    let scale = concatenate([1 / deviation, Tensor.ones([channels])], axis: 0)
    let shift = concatenate([-(mean / deviation), deviation.log() * -2], axis: 0)
    let postWeight = try weights.tensor("post_quant_conv.weight", [channels, channels, 1, 1], .zeros)
    let postBias = try weights.tensor("post_quant_conv.bias", [channels], .zeros)
    let matrix = postWeight.reshaped([channels, channels])
    return weights.replacing([
      "quant_conv.weight": quantWeight * scale.reshaped([2 * channels, 1, 1, 1]),
      "quant_conv.bias": quantBias * scale + shift,
      "post_quant_conv.weight": (matrix * deviation.reshaped([1, channels])).reshaped(postWeight.shape),
      "post_quant_conv.bias": postBias + matrix.matmul(mean.reshaped([channels, 1])).reshaped([channels]),
    ])
  }
}

private func / (c: Float, x: Tensor) -> Tensor { Tensor.full(c, x.shape) / x }
