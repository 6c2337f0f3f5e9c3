public import Diffusion

extension AutoencoderConfig {
  /// The work of decoding latents of a height and width to images of ``reduction`` times these.
  public func decoderArithmetic(batch: Int, height: Int, width: Int) -> Arithmetic {
    let channels = Array(blockChannels.reversed())
    var map = CountedMap(batch: batch, groups: normGroups, channels: latentChannels, height: height, width: width)
    if usesPostQuantConv { map.convolution("post_quant_conv", outputs: latentChannels, kernel: 1) }
    map.convolution("decoder.conv_in", outputs: channels[0])
    middle("decoder.mid_block", &map)
    for level in channels.indices {
      let block = "decoder.up_blocks.\(level)"
      for layer in 0...layersPerBlock {
        map.resnet("\(block).resnets.\(layer)", outputs: channels[level], time: nil)
      }
      if level < channels.count - 1 { map.upsample("\(block).upsamplers.0") }
    }
    map.groupNorm("decoder.conv_norm_out", activated: true)
    map.convolution("decoder.conv_out", outputs: outChannels)
    return map.arithmetic
  }

  /// The work of encoding images of a height and width, which are multiples of ``reduction``.
  public func encoderArithmetic(batch: Int, height: Int, width: Int) -> Arithmetic {
    var map = CountedMap(batch: batch, groups: normGroups, channels: inChannels, height: height, width: width)
    map.convolution("encoder.conv_in", outputs: blockChannels[0])
    for level in blockChannels.indices {
      let block = "encoder.down_blocks.\(level)"
      for layer in 0..<layersPerBlock {
        map.resnet("\(block).resnets.\(layer)", outputs: blockChannels[level], time: nil)
      }
      if level < blockChannels.count - 1 {
        map.convolution("\(block).downsamplers.0.conv", outputs: blockChannels[level], stride: 2)
      }
    }
    middle("encoder.mid_block", &map)
    map.groupNorm("encoder.conv_norm_out", activated: true)
    map.convolution("encoder.conv_out", outputs: 2 * latentChannels)
    if usesQuantConv { map.convolution("quant_conv", outputs: 2 * latentChannels, kernel: 1) }
    return map.arithmetic
  }

  private func middle(_ name: String, _ map: inout CountedMap) {
    map.resnet("\(name).resnets.0", outputs: map.channels, time: nil)
    if midBlockAttention {
      let attention = "\(name).attentions.0"
      let channels = map.channels
      map.groupNorm("\(attention).group_norm")
      for layer in ["to_q", "to_k", "to_v"] { map.linear("\(attention).\(layer)", from: channels, to: channels) }
      map.arithmetic.add(
        attention,
        .attention(batch: map.batch, targets: map.pixels, sources: map.pixels, width: channels, heads: 1))
      map.linear("\(attention).to_out.0", from: channels, to: channels)
      map.sum(attention)
    }
    map.resnet("\(name).resnets.1", outputs: map.channels, time: nil)
  }
}
