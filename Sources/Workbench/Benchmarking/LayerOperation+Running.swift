internal import Tensors

extension LayerOperation {
  /// What runs the operator, alone and on random values.
  func runner() -> () -> Void {
    let stream = RandomStream(seed: 0, "roofline")
    func random(_ name: String, _ shape: [Int]) -> Tensor { stream.substream(name).normal(shape) }
    switch self {
    case .convolution(let batch, let inputs, let outputs, let kernel, let stride, let height, let width):
      let x = random("x", [batch, inputs, height, width])
      let (weight, bias) = (random("weight", [outputs, inputs, kernel, kernel]), random("bias", [outputs]))
      return { _ = conv2d(x, weight: weight, bias: bias, stride: stride, padding: kernel / 2) }
    case .linear(let batch, let rows, let inputs, let outputs):
      let x = random("x", [batch, rows, inputs])
      let (weight, bias) = (random("weight", [outputs, inputs]), random("bias", [outputs]))
      return { _ = Tensors.linear(x, weight: weight, bias: bias) }
    case .attention(let batch, let targets, let sources, let width, let heads):
      let query = random("query", [batch, targets, width])
      let (key, value) = (random("key", [batch, sources, width]), random("value", [batch, sources, width]))
      return { _ = Tensors.attention(query: query, key: key, value: value, heads: heads) }
    case .groupNorm(let batch, let channels, let groups, let height, let width, let activated):
      let x = random("x", [batch, channels, height, width])
      let (weight, bias) = (random("weight", [channels]), random("bias", [channels]))
      return { _ = Tensors.groupNorm(x, groups: groups, weight: weight, bias: bias, activated: activated) }
    case .layerNorm(let rows, let width):
      let (x, weight, bias) = (random("x", [rows, width]), random("weight", [width]), random("bias", [width]))
      return { _ = Tensors.layerNorm(x, weight: weight, bias: bias, epsilon: 1e-5) }
    case .activation(let count):
      let x = random("x", [count])
      return { _ = x.silu() }
    case .geglu(let rows, let width):
      let x = random("x", [rows, 2 * width])
      return { _ = x.geglu() }
    case .sum(let count):
      let (x, y) = (random("x", [count]), random("y", [count]))
      return { _ = x + y }
    case .concatenation(let batch, let first, let second, let height, let width):
      let x = random("x", [batch, first, height, width])
      let y = random("y", [batch, second, height, width])
      return { _ = concatenate([x, y], axis: 1) }
    case .upsampling(let batch, let channels, let height, let width):
      let x = random("x", [batch, channels, height, width])
      return { _ = upsampleNearest2x(x) }
    }
  }
}
