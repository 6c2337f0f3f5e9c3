internal import Tensors

/// Two normalised convolutions around a residual connection (`ResnetBlock2D`), with or without a time embedding.
struct ResnetBlock {
  /// As diffusers names the block.
  let name: String
  let norm1, norm2: GroupNorm
  let conv1, conv2: Conv2d
  let shortcut: Conv2d?
  /// Where this block's share of the time embedding is in a ``PreparedTimesteps``; nil without one.
  let timeIndex: Int?
  let activation: Activation
  let outputScale: Float

  init(
    _ weights: Weights, inputs: Int, outputs: Int, groups: Int, epsilon: Double, activation: Activation,
    outputScale: Double = 1, timeIndex: Int? = nil
  ) throws {
    name = weights.scopeName
    norm1 = try GroupNorm(weights.scope("norm1"), channels: inputs, groups: groups, epsilon: epsilon)
    conv1 = try Conv2d(weights.scope("conv1"), inputs: inputs, outputs: outputs)
    norm2 = try GroupNorm(weights.scope("norm2"), channels: outputs, groups: groups, epsilon: epsilon)
    conv2 = try Conv2d(weights.scope("conv2"), inputs: outputs, outputs: outputs)
    shortcut =
      inputs == outputs
      ? nil : try Conv2d(weights.scope("conv_shortcut"), inputs: inputs, outputs: outputs, kernel: 1, padding: 0)
    self.activation = activation
    self.outputScale = Float(outputScale)
    self.timeIndex = timeIndex
  }

  /// - Parameters:
  ///   - x: (batch, inputs, height, width)
  ///   - time: the projected time embedding (batch or 1, outputs, 1, 1)
  func callAsFunction(_ x: Tensor, time: Tensor? = nil, hooks: UNetHooks? = nil) -> Tensor {
    var hidden = conv1(norm1(x, activation))
    if let time { hidden = hidden + time }
    hidden = norm2(hidden, activation)
    if let hook = hooks?.residualActivation { hidden = hook(name, hidden) }
    hidden = conv2(hidden)
    let sum = (shortcut?(x) ?? x) + hidden
    return outputScale == 1 ? sum : sum / outputScale
  }
}
