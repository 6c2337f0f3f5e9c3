public import Configuration
public import Tensors

/// A set of a UNet's weights, by the names that diffusers gives them: what a technique trains or edits.
public enum ParameterGroup: String, CaseIterable, ConfigurationValue {
  /// The cross-attention layers: queries, keys, values, output, with biases (ESD-x).
  case crossAttention = "xattn"
  /// Keys and values of the cross-attention layers (ESD-x-strict; UCE, RECE, MACE, AC).
  case crossAttentionKeysValues = "xattn-strict"
  /// All but cross-attention, time embedding and output convolution (ESD-u, 2023).
  case allButCrossAttention = "noxattn"
  /// Linear layers and convolutions outside cross-attention, without norms (ESD-u, 2025).
  case modulesWithoutCrossAttention = "noxattn-2025"
  /// The self-attention layers.
  case selfAttention = "selfattn"
  /// Every weight.
  case full
  /// All but time embedding and output convolution.
  case allButTime = "notime"
  /// Queries, keys, values and outputs of both kinds of attention (AC for nudity).
  case attention = "attn"
  /// The output projections of both kinds of attention (Surgical).
  case attentionOutputs = "to_out"
  /// The matrices of the feed-forward layers (CAD).
  case feedForward = "ff"
  /// The second matrix of each feed-forward layer (ConceptPrune).
  case feedForwardOutput = "ff.net.2"
  /// The convolutions of the ResNet blocks.
  case residual

  /// What the group holds, in a few words.
  public var meaning: String {
    switch self {
    case .crossAttention: "cross-attention"
    case .crossAttentionKeysValues: "keys and values of cross-attention"
    case .allButCrossAttention: "all but cross-attention, time embedding and output convolution"
    case .modulesWithoutCrossAttention: "linear layers and convolutions outside cross-attention"
    case .selfAttention: "self-attention"
    case .full: "every weight"
    case .allButTime: "all but time embedding and output convolution"
    case .attention: "queries, keys, values and outputs of attention"
    case .attentionOutputs: "output projections of attention"
    case .feedForward: "matrices of the feed-forward layers"
    case .feedForwardOutput: "second matrix of each feed-forward layer"
    case .residual: "convolutions of the ResNet blocks"
    }
  }

  /// Whether a weight belongs to the group.
  ///
  /// - Parameters:
  ///   - name: for example `mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight`
  ///   - rank: the number of axes of the weight
  public func contains(_ name: String, rank: Int) -> Bool {
    let isCross = name.contains("attn2")
    // The projections of the time embedding inside the ResNet blocks count as parts of these.
    let isTime = name.hasPrefix("time_embedding.")
    let isOutput = name.hasPrefix("conv_out.")
    return switch self {
    case .crossAttention: isCross
    case .crossAttentionKeysValues: name.contains("attn2.to_k") || name.contains("attn2.to_v")
    case .allButCrossAttention: !isCross && !isTime && !isOutput
    case .modulesWithoutCrossAttention: !isCross && Self.isOfLinearOrConvolution(name)
    case .selfAttention: name.contains("attn1")
    case .full: true
    case .allButTime: !isTime && !isOutput
    case .attention: ["to_q", "to_k", "to_v", "to_out"].contains { name.contains("." + $0 + ".") }
    case .attentionOutputs: name.contains(".to_out.")
    case .feedForward: rank == 2 && name.contains(".ff.")
    case .feedForwardOutput: rank == 2 && name.hasSuffix(".ff.net.2.weight")
    case .residual: rank == 4 && name.contains(".resnets.")
    }
  }

  /// The names of the group's weights, in their order.
  ///
  /// - Throws: ``ErasureError`` where the UNet has none.
  public func names(in weights: Weights) throws -> [String] {
    let names = weights.tensors.filter { contains($0.name, rank: $0.tensor.rank) }.map(\.name)
    guard !names.isEmpty else {
      throw ErasureError("the UNet has no weight of the group \"\(rawValue)\" (\(meaning))")
    }
    return names
  }

  /// The group's weights by name.
  ///
  /// - Throws: ``ErasureError`` where the UNet has none.
  public func tensors(in weights: Weights) throws -> [String: Tensor] {
    let names = Set(try names(in: weights))
    let members = weights.tensors.filter { names.contains($0.name) }
    return Dictionary(members.map { ($0.name, $0.tensor) }, uniquingKeysWith: { $1 })
  }

  /// Whether a name is that of a weight or bias of a linear layer or a convolution, and not of a norm.
  public static func isOfLinearOrConvolution(_ name: String) -> Bool {
    !name.split(separator: ".").contains { $0.hasPrefix("norm") || $0 == "conv_norm_out" }
  }
}
