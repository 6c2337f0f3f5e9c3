public import Tensors

/// The vision tower of CLIP, a vision transformer with a class token (Dosovitskiy et al., 2021).
public struct CLIPVisionModel {
  public let config: CLIPVisionConfig
  private let classEmbedding: Tensor
  private let patchEmbedding: Conv2d
  private let positionEmbedding: Tensor
  private let preNorm, postNorm: LayerNorm
  private let encoder: CLIPEncoder

  /// - Parameter weights: the weights of a vision tower, with or without the prefix `vision_model.`
  public init(_ config: CLIPVisionConfig, _ weights: Weights) throws {
    let weights = weights.containsScope("embeddings") ? weights : weights.scope("vision_model")
    let width = config.tower.hiddenSize
    self.config = config
    classEmbedding = try weights.tensor(
      "embeddings.class_embedding", [width], .normal(1 / Float(width).squareRoot()))
    patchEmbedding = try Conv2d(
      weights.scope("embeddings.patch_embedding"), inputs: config.channels, outputs: width,
      kernel: config.patchSize, stride: config.patchSize, padding: 0, bias: false, start: .normal(0.02))
    positionEmbedding = try weights.tensor(
      "embeddings.position_embedding.weight", [config.positions, width], .normal(0.02))
    // The name is spelled so in every CLIP checkpoint.
    preNorm = try LayerNorm(weights.scope("pre_layrnorm"), size: width, epsilon: config.tower.normEpsilon)
    encoder = try CLIPEncoder(weights.scope("encoder"), config.tower, isCausal: false)
    postNorm = try LayerNorm(weights.scope("post_layernorm"), size: width, epsilon: config.tower.normEpsilon)
  }

  /// Images (batch, channels, image size, image size), normalised as the model was trained, to hidden states
  /// (batch, patches + 1, hidden size), the class token first.
  public func callAsFunction(_ images: Tensor) -> Tensor {
    precondition(
      images.rank == 4 && Array(images.shape[1...]) == [config.channels, config.imageSize, config.imageSize],
      "images of shape \(images.shape) for a vision tower of \(config.imageSize) pixels")
    let (batch, width) = (images.shape[0], config.tower.hiddenSize)
    let patches = patchEmbedding(images).reshaped([batch, width, config.positions - 1]).transposedLast()
    let classes = classEmbedding.reshaped([1, 1, width]) + Tensor.zeros([batch, 1, width])
    return encoder(preNorm(concatenate([classes, patches], axis: 1) + positionEmbedding))
  }

  /// The normalised state of the class token: (batch, hidden size).
  public func pooled(_ states: Tensor) -> Tensor {
    postNorm(states.slice(axis: 1, 0..<1).reshaped([states.shape[0], states.shape[2]]))
  }
}
