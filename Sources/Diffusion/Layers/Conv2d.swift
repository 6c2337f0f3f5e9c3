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
    try self.init(
      weights, inputs: inputs, outputs: outputs, kernel: kernel, stride: stride, padding: padding, bias: bias,
      start: .uniform(fanIn: inputs * kernel * kernel))
  }

  init(
    _ weights: Weights, inputs: Int, outputs: Int, kernel: Int, stride: Int, padding: Int, bias: Bool,
    start: Weights.Initializer
  ) throws {
    weight = try weights.tensor("weight", [outputs, inputs, kernel, kernel], start)
    self.bias = bias ? try weights.tensor("bias", [outputs], start) : nil
    self.stride = stride
    self.padding = padding
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    conv2d(x, weight: weight, bias: bias, stride: stride, padding: padding)
  }
}
