public import Tensors

/// Both towers of CLIP with the projections into the space they share (Radford et al., 2021).
///
/// Weights are named as transformers' `CLIPModel` names them.
public struct CLIPModel {
  public let config: CLIPConfig
  public let text: CLIPTextModel
  public let vision: CLIPVisionModel
  private let textProjection, visualProjection: Linear
  /// The logarithm of the inverse temperature of the contrastive loss, of shape [].
  public let logitScale: Tensor

  public init(_ config: CLIPConfig, _ weights: Weights) throws {
    self.config = config
    text = try CLIPTextModel(config.text, weights)
    vision = try CLIPVisionModel(config.vision, weights)
    func projection(_ name: String, _ tower: CLIPTowerConfig) throws -> Linear {
      try Linear(
        weights.scope(name), inputs: tower.hiddenSize, outputs: tower.projectionSize,
        deviation: 1 / Double(tower.hiddenSize).squareRoot(), bias: false)
    }
    textProjection = try projection("text_projection", config.text.tower)
    visualProjection = try projection("visual_projection", config.vision.tower)
    logitScale = try weights.tensor("logit_scale", [], .constant(Float(config.initialLogitScale)))
  }

  /// The place of prompts in the shared space, not normalised: (prompts, projection size).
  public func textFeatures(_ ids: [[Int]]) -> Tensor {
    project(text: text.pooled(text(ids), ids))
  }

  /// The place of images in the shared space, not normalised: (images, projection size).
  public func imageFeatures(_ images: Tensor) -> Tensor {
    project(image: vision.pooled(vision(images)))
  }

  /// Pooled states of prompts (prompts, text width) in the shared space.
  public func project(text pooled: Tensor) -> Tensor { textProjection(pooled) }

  /// Pooled states of images (images, vision width) in the shared space.
  public func project(image pooled: Tensor) -> Tensor { visualProjection(pooled) }
}

extension Tensor {
  /// Each row divided by its length.
  public func normalizedRows() -> Tensor {
    self / square().sum(axis: -1, keepsAxis: true).squareRoot()
  }
}
