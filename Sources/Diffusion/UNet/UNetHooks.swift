public import Tensors

/// Places inside a UNet's pass at which a caller may look at activations or put others in their place.
///
/// Each hook is given the name of its layer as diffusers names it and the activations there, and returns what the pass
/// goes on with. Until the first cross-attention a guided pass has one item for the texts of an image, and after it one
/// for each text; see ``UNet2DConditionModel/callAsFunction(_:time:text:hooks:)``. Hooks run on several threads at
/// once where several images are drawn.
public struct UNetHooks {
  /// The last activation of a ResNet block, between `norm2` and `conv2`: (batch, channels, height, width), under the
  /// block's name, for example `down_blocks.0.resnets.1`.
  public var residualActivation: ((String, Tensor) -> Tensor)?
  /// The output of a transformer: (texts, channels, height, width), under its name, for example
  /// `up_blocks.1.attentions.0`.
  public var transformerOutput: ((String, Tensor) -> Tensor)?
  /// What a feed-forward layer's gate lets through, the input of its `ff.net.2`: (texts, positions, 4 * channels),
  /// under the name of that layer, for example `mid_block.attentions.0.transformer_blocks.0.ff.net.2`.
  public var feedForwardActivation: ((String, Tensor) -> Tensor)?
  /// The probabilities of a cross-attention: (texts * heads, positions, tokens), under the name of the layer, for
  /// example `mid_block.attentions.0.transformer_blocks.0.attn2`.
  public var crossAttentionProbabilities: ((String, Tensor) -> Tensor)?

  public init() {}
}
