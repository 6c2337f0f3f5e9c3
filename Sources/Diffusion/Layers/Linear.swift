public import Tensors

/// y = x Wᵀ + b on the last axis.
public struct Linear {
  let weight: Tensor
  let bias: Tensor?

  /// - Parameter weights: the scope with `weight` of shape [outputs, inputs] and, unless `bias` is false, `bias`.
  public init(_ weights: Weights, inputs: Int, outputs: Int, bias: Bool = true) throws {
    weight = try weights.tensor("weight", [outputs, inputs], .uniform(fanIn: inputs))
    self.bias = bias ? try weights.tensor("bias", [outputs], .uniform(fanIn: inputs)) : nil
  }

  /// A layer that starts from normal values and a bias of zero, as transformers starts those of CLIP.
  init(_ weights: Weights, inputs: Int, outputs: Int, deviation: Double, bias: Bool = true) throws {
    weight = try weights.tensor("weight", [outputs, inputs], .normal(Float(deviation)))
    self.bias = bias ? try weights.tensor("bias", [outputs], .zeros) : nil
  }

  /// A layer on the channels of each position that is stored as a convolution of extent one, its weight as
  /// [outputs, inputs, 1, 1].
  init(convolution weights: Weights, inputs: Int, outputs: Int) throws {
    weight = try weights.tensor("weight", [outputs, inputs, 1, 1], .uniform(fanIn: inputs))
      .reshaped([outputs, inputs])
    bias = try weights.tensor("bias", [outputs], .uniform(fanIn: inputs))
  }

  /// (..., inputs) to (..., outputs).
  public func callAsFunction(_ x: Tensor) -> Tensor {
    linear(x, weight: weight, bias: bias)
  }
}
