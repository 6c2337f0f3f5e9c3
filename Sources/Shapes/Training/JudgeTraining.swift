internal import Diffusion
public import Tensors

/// Trains the judge network on drawn pictures, with noise and blur so that it reads an autoencoder's pictures as well.
public struct JudgeTraining {
  let world: ShapesWorld
  let recipe: OptimizationRecipe

  public init(world: ShapesWorld, recipe: OptimizationRecipe) {
    self.world = world
    self.recipe = recipe
  }

  public func run(_ monitor: TrainingMonitor) throws -> Weights {
    let start = Weights(initialising: RandomStream(seed: UInt64(recipe.seed), "judge", "initial weights"))
    _ = try JudgeNetwork(start)
    let trainer = Trainer(start, recipe.trainerSettings)
    let size = recipe.microBatchSize
    try monitor.run(trainer, part: "judge") { step, microBatch, weights in
      let first = step * recipe.batchSize + microBatch * size
      let scenes = (first..<first + size).map { world.scene(.train, $0) }
      let images = augmented(RGBImage.batch(scenes.map { $0.drawn() }), sample: first)
      let judge = try JudgeNetwork(weights)
      let logits = judge.logits(features: judge.features(images))
      let losses = AttributeKind.allCases.enumerated().map { index, kind in
        crossEntropy(logits[index], labels: scenes.map { $0.attributes.label(kind) })
      }
      return losses.dropFirst().reduce(losses[0], +)
    }
    return trainer.averagedWeights
  }

  /// Half of the pictures blurred a little, all with some noise.
  private func augmented(_ images: Tensor, sample: Int) -> Tensor {
    let (batch, side) = (images.shape[0], images.shape[2])
    let choices = RandomStream(seed: UInt64(recipe.seed), "judge", "augmentation").item(sample).uniform(2 * batch)
    let noise = RandomStream(seed: UInt64(recipe.seed), "judge", "noise").item(sample).normal(images.shape)
    let kernel = Tensor([1, 2, 1, 2, 4, 2, 1, 2, 1].map { $0 / 16 }, shape: [1, 1, 3, 3])
    let blurred = conv2d(images.reshaped([batch * 3, 1, side, side]), weight: kernel, padding: 1).reshaped(images.shape)
    let blur = Tensor((0..<batch).map { choices[$0] < 0.5 ? choices[$0] : 0 }, shape: [batch, 1, 1, 1])
    let strength = Tensor((0..<batch).map { 0.15 * choices[batch + $0] }, shape: [batch, 1, 1, 1])
    return images + (blurred - images) * blur + noise * strength
  }
}
