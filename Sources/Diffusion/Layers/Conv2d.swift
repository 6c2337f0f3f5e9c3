public import Tensors

/// A convolution over (batch, channels, height, width), zero padded.
public struct Conv2d {
  let weight: Tensor
  let bias: Tensor?
  let stride: Int
  let padding: Int

  /// - Parameter weights: the scope with `weight` of shape [outputs, inputs, kernel, kernel] and, unless `bias` is
  ///   false, `bias`.
  public init(
    _ weights: Weights, inputs: Int, outputs: Int, kernel: Int = 3, stride: Int = 1, padding: Int = 1,
    bias: Bool = true
  ) throws {
    let fanIn = inputs * kernel * kernel
    weight = try weights.tensor("weight", [outputs, inputs, kernel, kernel], .uniform(fanIn: fanIn))
    self.bias = bias ? try weights.tensor("bias", [outputs], .uniform(fanIn: fanIn)) : nil
    self.stride = stride
    self.padding = padding
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    conv2d(x, weight: weight, bias: bias, stride: stride, padding: padding)
  }
}
