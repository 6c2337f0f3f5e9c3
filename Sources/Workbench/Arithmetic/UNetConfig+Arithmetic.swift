public import Diffusion

extension UNetConfig {
  /// The work of `unet(latents, timesteps:encoderHiddenStates:)`, the projections of the text among it.
  ///
  /// - Parameters:
  ///   - batch: the items of the latents, with a timestep and a text each
  ///   - height, width: of the latents
  ///   - positions: of a text
  public func arithmetic(batch: Int, height: Int, width: Int, positions: Int = 77) -> Arithmetic {
    let first = blockChannels[0]
    let time = timeEmbeddingSize ?? 4 * first
    var map = CountedMap(batch: batch, groups: normGroups, channels: inChannels, height: height, width: width)
    map.arithmetic.add("time_embedding.linear_1", .linear(batch: 1, rows: batch, inputs: first, outputs: time))
    map.arithmetic.add("time_embedding.linear_2", .linear(batch: 1, rows: batch, inputs: time, outputs: time))
    map.convolution("conv_in", outputs: first, kernel: convInKernel)
    var skips = [map.channels]
    for (level, channels) in blockChannels.enumerated() {
      let block = "down_blocks.\(level)"
      for layer in 0..<layersPerBlock[level] {
        map.resnet("\(block).resnets.\(layer)", outputs: channels, time: time)
        if downBlocks[level] == .crossAttention {
          transformer("\(block).attentions.\(layer)", level, positions, &map)
        }
        skips.append(channels)
      }
      if level < blockChannels.count - 1 {
        map.convolution("\(block).downsamplers.0.conv", outputs: channels, stride: 2)
        skips.append(channels)
      }
    }
    map.resnet("mid_block.resnets.0", outputs: map.channels, time: time)
    if midBlock == .crossAttention {
      transformer("mid_block.attentions.0", blockChannels.count - 1, positions, &map)
      map.resnet("mid_block.resnets.1", outputs: map.channels, time: time)
    }
    for (index, type) in upBlocks.enumerated() {
      let level = blockChannels.count - 1 - index
      let block = "up_blocks.\(index)"
      for layer in 0...layersPerBlock[level] {
        let skip = skips.removeLast()
        map.arithmetic.add(
          "\(block).resnets.\(layer)",
          .concatenation(batch: batch, first: map.channels, second: skip, height: map.height, width: map.width))
        map.channels += skip
        map.resnet("\(block).resnets.\(layer)", outputs: blockChannels[level], time: time)
        if type == .crossAttention { transformer("\(block).attentions.\(layer)", level, positions, &map) }
      }
      if level > 0 { map.upsample("\(block).upsamplers.0") }
    }
    map.groupNorm("conv_norm_out", activated: true)
    map.convolution("conv_out", outputs: outChannels, kernel: convOutKernel)
    return map.arithmetic
  }

  private func transformer(_ name: String, _ level: Int, _ positions: Int, _ map: inout CountedMap) {
    let channels = map.channels
    map.groupNorm("\(name).norm")
    // A linear layer, whether it is stored as one or as a convolution of extent one.
    map.linear("\(name).proj_in", from: channels, to: channels)
    for block in 0..<transformerLayers[level] {
      transformerBlock("\(name).transformer_blocks.\(block)", heads[level], positions, &map)
    }
    map.linear("\(name).proj_out", from: channels, to: channels)
    map.sum(name)
  }

  private func transformerBlock(_ name: String, _ heads: Int, _ positions: Int, _ map: inout CountedMap) {
    let (batch, channels, pixels) = (map.batch, map.channels, map.pixels)
    for (number, sources, width) in [(1, pixels, channels), (2, positions, crossAttentionSize)] {
      let layer = "\(name).attn\(number)"
      map.layerNorm("\(name).norm\(number)")
      map.linear("\(layer).to_q", from: channels, to: channels)
      for part in ["to_k", "to_v"] {
        map.arithmetic.add(
          "\(layer).\(part)", .linear(batch: batch, rows: sources, inputs: width, outputs: channels))
      }
      map.arithmetic.add(
        layer, .attention(batch: batch, targets: pixels, sources: sources, width: channels, heads: heads))
      map.linear("\(layer).to_out.0", from: channels, to: channels)
      map.sum(layer)
    }
    map.layerNorm("\(name).norm3")
    map.linear("\(name).ff.net.0.proj", from: channels, to: 8 * channels)
    map.arithmetic.add("\(name).ff.net.0", .geglu(rows: batch * pixels, width: 4 * channels))
    map.linear("\(name).ff.net.2", from: 4 * channels, to: channels)
    map.sum("\(name).ff")
  }
}
