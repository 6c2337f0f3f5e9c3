internal import Tensors

/// From the names of Stable Diffusion's own code to those of diffusers, for a model of any depth.
///
/// The UNet numbers its blocks through: level `i` of `n` layers has the blocks `1 + i (n + 1)` and on, the last of them
/// its downsampler; on the way up, where a level has one layer more, block `i (n + 1)` and on. The autoencoder counts
/// its levels from the finest both ways, where diffusers counts from the coarsest on the way up.
struct CheckpointNames {
  /// Beginnings of names, whole components of them, to what stands there in diffusers.
  private var scopes: [String: String] = [:]
  /// Beginnings of names that are no part of the model.
  private var passedOver: [String]

  init(_ architecture: DiffusionModel.Architecture, isOpenCLIP: Bool) {
    let text = Checkpoint.text
    passedOver = [Checkpoint.autoencoder + "loss.", text + "logit_scale", text + "text_projection"]
    addUNet(architecture.unet)
    addAutoencoder(architecture.vae)
    if isOpenCLIP {
      passedOver += ["logit_scale", "text_projection", "attn_mask"].map { "\(text)model.\($0)" }
      passedOver.append("\(text)model.transformer.resblocks.\(architecture.text.tower.layers).")
      addOpenCLIP(architecture.text)
    } else {
      // Some files have left out the name of the whole tower.
      for part in ["embeddings", "encoder", "final_layer_norm"] {
        scopes["\(text)transformer.\(part)"] = "text_model.\(part)"
      }
      scopes["\(text)transformer.text_model"] = "text_model"
    }
  }

  /// Whether a weight is none of the model's.
  func isPassedOver(_ name: String) -> Bool {
    passedOver.contains { name.hasPrefix($0) } || name.hasSuffix("position_ids")
  }

  /// A weight under diffusers' name, or three that are one in the file. A name that is not known stays as it is, and is
  /// refused with all others that the model does not ask for.
  func converted(_ name: String, _ tensor: Tensor, file: String) throws -> [(name: String, tensor: Tensor)] {
    let names = converted(name)
    if names.count == 3 {
      guard tensor.rank > 0, tensor.shape[0] % 3 == 0 else {
        throw ModelFolderError(file: file, key: name, "has the shape \(tensor.shape), which are not three in one")
      }
      let width = tensor.shape[0] / 3
      return names.enumerated().map { index, name in
        (name, tensor.slice(axis: 0, index * width..<(index + 1) * width))
      }
    }
    let new = names[0]
    // The attention of the autoencoder is a convolution of extent one in the file.
    let isPointwise = new.contains(".mid_block.attentions.") && tensor.rank == 4 && tensor.shape[2...] == [1, 1]
    return [(new, isPointwise ? tensor.reshaped(Array(tensor.shape[..<2])) : tensor)]
  }

  /// Diffusers' names of what a weight of the file holds: one, or three that are one in the file.
  func converted(_ name: String) -> [String] {
    for (fused, kind) in [("in_proj_weight", "weight"), ("in_proj_bias", "bias")] where name.hasSuffix("." + fused) {
      let scope = renamed(String(name.dropLast(fused.count + 1)))
      return ["q_proj", "k_proj", "v_proj"].map { "\(scope).\($0).\(kind)" }
    }
    return [renamed(name)]
  }

  private func renamed(_ name: String) -> String {
    var end = name.endIndex
    while end > name.startIndex {
      if let scope = scopes[String(name[..<end])] { return scope + name[end...] }
      end = name[..<end].lastIndex(of: ".") ?? name.startIndex
    }
    return name
  }

  // MARK: The parts

  private mutating func addUNet(_ config: UNetConfig) {
    let prefix = Checkpoint.unet
    let (levels, layers) = (config.blockChannels.count, config.layersPerBlock[0])
    for (old, new) in [
      ("time_embed.0", "time_embedding.linear_1"), ("time_embed.2", "time_embedding.linear_2"),
      ("input_blocks.0.0", "conv_in"), ("out.0", "conv_norm_out"), ("out.2", "conv_out"),
    ] { scopes[prefix + old] = new }
    for level in 0..<levels {
      for layer in 0..<layers {
        addBlock("input_blocks.\(1 + level * (layers + 1) + layer)", "down_blocks.\(level)", layer)
      }
      scopes["\(prefix)input_blocks.\((level + 1) * (layers + 1)).0.op"] = "down_blocks.\(level).downsamplers.0.conv"
      for layer in 0...layers { addBlock("output_blocks.\(level * (layers + 1) + layer)", "up_blocks.\(level)", layer) }
      let last = "\(prefix)output_blocks.\(level * (layers + 1) + layers)"
      // The upsampler comes after the ResNet block and, where there is one, the transformer.
      let place = config.upBlocks[level] == .crossAttention ? 2 : 1
      scopes["\(last).\(place).conv"] = "up_blocks.\(level).upsamplers.0.conv"
    }
    addResnet(prefix + "middle_block.0", "mid_block.resnets.0")
    scopes[prefix + "middle_block.1"] = "mid_block.attentions.0"
    addResnet(prefix + "middle_block.2", "mid_block.resnets.1")
  }

  private mutating func addBlock(_ old: String, _ new: String, _ layer: Int) {
    addResnet("\(Checkpoint.unet)\(old).0", "\(new).resnets.\(layer)")
    // Transformers have the same names inside.
    scopes["\(Checkpoint.unet)\(old).1"] = "\(new).attentions.\(layer)"
  }

  private mutating func addResnet(_ old: String, _ new: String) {
    for (inner, layer) in [
      ("in_layers.0", "norm1"), ("in_layers.2", "conv1"), ("emb_layers.1", "time_emb_proj"), ("out_layers.0", "norm2"),
      ("out_layers.3", "conv2"), ("skip_connection", "conv_shortcut"),
    ] { scopes["\(old).\(inner)"] = "\(new).\(layer)" }
  }

  private mutating func addAutoencoder(_ config: AutoencoderConfig) {
    let prefix = Checkpoint.autoencoder
    scopes[prefix + "quant_conv"] = "quant_conv"
    scopes[prefix + "post_quant_conv"] = "post_quant_conv"
    for half in ["encoder", "decoder"] {
      for (old, new) in [
        ("conv_in", "conv_in"), ("norm_out", "conv_norm_out"), ("conv_out", "conv_out"),
        ("mid.block_1", "mid_block.resnets.0"), ("mid.block_2", "mid_block.resnets.1"),
        ("mid.attn_1.norm", "mid_block.attentions.0.group_norm"), ("mid.attn_1.q", "mid_block.attentions.0.to_q"),
        ("mid.attn_1.k", "mid_block.attentions.0.to_k"), ("mid.attn_1.v", "mid_block.attentions.0.to_v"),
        ("mid.attn_1.proj_out", "mid_block.attentions.0.to_out.0"),
      ] { scopes["\(prefix)\(half).\(old)"] = "\(half).\(new)" }
    }
    let levels = config.blockChannels.count
    for level in 0..<levels {
      let up = levels - 1 - level
      for layer in 0...config.layersPerBlock {
        for (old, new) in [
          ("encoder.down.\(level).block.\(layer)", "encoder.down_blocks.\(level).resnets.\(layer)"),
          ("decoder.up.\(level).block.\(layer)", "decoder.up_blocks.\(up).resnets.\(layer)"),
        ] {
          scopes[prefix + old] = new
          scopes["\(prefix)\(old).nin_shortcut"] = new + ".conv_shortcut"
        }
      }
      scopes["\(prefix)encoder.down.\(level).downsample"] = "encoder.down_blocks.\(level).downsamplers.0"
      scopes["\(prefix)decoder.up.\(level).upsample"] = "decoder.up_blocks.\(up).upsamplers.0"
    }
  }

  private mutating func addOpenCLIP(_ config: CLIPTextConfig) {
    let prefix = Checkpoint.text + "model."
    scopes[prefix + "token_embedding"] = "text_model.embeddings.token_embedding"
    scopes[prefix + "positional_embedding"] = "text_model.embeddings.position_embedding.weight"
    scopes[prefix + "ln_final"] = "text_model.final_layer_norm"
    for layer in 0..<config.tower.layers {
      for (old, new) in [
        ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"), ("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2"),
        ("attn", "self_attn"),
      ] {
        scopes["\(prefix)transformer.resblocks.\(layer).\(old)"] = "text_model.encoder.layers.\(layer).\(new)"
      }
    }
  }
}
