public import Tensors

/// Group normalisation (Wu and He, 2018) of (batch, channels, height, width).
public struct GroupNorm {
  let weight: Tensor
  let bias: Tensor
  let groups: Int
  let epsilon: Float

  public init(_ weights: Weights, channels: Int, groups: Int, epsilon: Double) throws {
    guard channels % groups == 0 else {
      throw ModelFolderError(
        file: weights.source, key: "norm_num_groups", "\(channels) channels cannot be cut into \(groups) groups")
    }
    weight = try weights.tensor("weight", [channels], .ones)
    bias = try weights.tensor("bias", [channels], .zeros)
    self.groups = groups
    self.epsilon = Float(epsilon)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    groupNorm(x, groups: groups, weight: weight, bias: bias, epsilon: epsilon)
  }

  /// An activation of the normalised map.
  func callAsFunction(_ x: Tensor, _ activation: Activation) -> Tensor {
    activation == .silu
      ? groupNorm(x, groups: groups, weight: weight, bias: bias, epsilon: epsilon, activated: true)
      : activation(self(x))
  }
}

/// Layer normalisation (Ba et al., 2016) of the last axis.
public struct LayerNorm {
  let weight: Tensor
  let bias: Tensor
  let epsilon: Float

  public init(_ weights: Weights, size: Int, epsilon: Double = 1e-5) throws {
    weight = try weights.tensor("weight", [size], .ones)
    bias = try weights.tensor("bias", [size], .zeros)
    self.epsilon = Float(epsilon)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    layerNorm(x, weight: weight, bias: bias, epsilon: epsilon)
  }
}
