/// One operator on tensors of given extents: what it computes and moves is known before anything is computed.
public enum LayerOperation: Sendable, Hashable {
  /// A square kernel over (batch, inputs, height, width), padded so that a stride of 1 keeps height and width.
  case convolution(batch: Int, inputs: Int, outputs: Int, kernel: Int, stride: Int, height: Int, width: Int)
  /// (batch, rows, inputs) to (batch, rows, outputs).
  case linear(batch: Int, rows: Int, inputs: Int, outputs: Int)
  /// Scaled dot-product attention of (batch, targets, width) to (batch, sources, width), without its projections.
  case attention(batch: Int, targets: Int, sources: Int, width: Int, heads: Int)
  /// (batch, channels, height, width), with SiLU of it where it is `activated`.
  case groupNorm(batch: Int, channels: Int, groups: Int, height: Int, width: Int, activated: Bool)
  /// (rows, width).
  case layerNorm(rows: Int, width: Int)
  /// A function of each of so many values.
  case activation(count: Int)
  /// (rows, 2 width) to (rows, width).
  case geglu(rows: Int, width: Int)
  /// The sum of two tensors of so many values.
  case sum(count: Int)
  /// (batch, first + second channels, height, width) from its two parts.
  case concatenation(batch: Int, first: Int, second: Int, height: Int, width: Int)
  /// (batch, channels, height, width) to twice the height and width.
  case upsampling(batch: Int, channels: Int, height: Int, width: Int)

  /// Multiplications and additions, two for each step of a product, as the operator is defined: an algorithm that gets
  /// by with fewer, such as Winograd's for convolutions, does not make this smaller. Of convolutions, linear layers and
  /// attention alone; beside them the rest is next to nothing.
  public var operations: Int {
    switch self {
    case .convolution(let batch, let inputs, let outputs, let kernel, let stride, let height, let width):
      2 * batch * outputs * inputs * kernel * kernel * (height / stride) * (width / stride)
    case .linear(let batch, let rows, let inputs, let outputs): 2 * batch * rows * inputs * outputs
    case .attention(let batch, let targets, let sources, let width, _): 4 * batch * targets * sources * width
    default: 0
    }
  }

  /// Values of the weights, biases among them.
  public var parameters: Int {
    switch self {
    case .convolution(_, let inputs, let outputs, let kernel, _, _, _): outputs * (inputs * kernel * kernel + 1)
    case .linear(_, _, let inputs, let outputs): outputs * (inputs + 1)
    case .groupNorm(_, let channels, _, _, _, _): 2 * channels
    case .layerNorm(_, let width): 2 * width
    default: 0
    }
  }

  /// The axes of the weight.
  var weightRank: Int {
    switch self {
    case .convolution: 4
    case .linear: 2
    default: 1
    }
  }

  /// Bytes of float32 that have to be moved at least: weights and inputs read once and the result written once. The
  /// score matrix of attention and the columns of a convolution are not among them.
  public var bytes: Int { 4 * (parameters + moved) }

  /// Values of inputs and output.
  private var moved: Int {
    switch self {
    case .convolution(let batch, let inputs, let outputs, _, let stride, let height, let width):
      batch * (inputs * height * width + outputs * (height / stride) * (width / stride))
    case .linear(let batch, let rows, let inputs, let outputs): batch * rows * (inputs + outputs)
    case .attention(let batch, let targets, let sources, let width, _): 2 * batch * (targets + sources) * width
    case .groupNorm(let batch, let channels, _, let height, let width, _): 2 * batch * channels * height * width
    case .layerNorm(let rows, let width): 2 * rows * width
    case .activation(let count): 2 * count
    case .geglu(let rows, let width): 3 * rows * width
    case .sum(let count): 3 * count
    case .concatenation(let batch, let first, let second, let height, let width):
      2 * batch * (first + second) * height * width
    case .upsampling(let batch, let channels, let height, let width): 5 * batch * channels * height * width
    }
  }

  /// Values of the result.
  public var results: Int {
    switch self {
    case .convolution(let batch, _, let outputs, _, let stride, let height, let width):
      batch * outputs * (height / stride) * (width / stride)
    case .linear(let batch, let rows, _, let outputs): batch * rows * outputs
    case .attention(let batch, let targets, _, let width, _): batch * targets * width
    case .groupNorm(let batch, let channels, _, let height, let width, _): batch * channels * height * width
    case .layerNorm(let rows, let width), .geglu(let rows, let width): rows * width
    case .activation(let count), .sum(let count): count
    case .concatenation(let batch, let first, let second, let height, let width):
      batch * (first + second) * height * width
    case .upsampling(let batch, let channels, let height, let width): 4 * batch * channels * height * width
    }
  }

  /// Values of what it reads beside weights.
  public var inputs: Int { moved - results }

  /// What it is, in words: the operators of a kind differ in their extents alone.
  public var kind: String {
    switch self {
    case .convolution(_, _, _, let kernel, let stride, _, _):
      "\(kernel)x\(kernel) convolution" + (stride == 1 ? "" : ", stride \(stride)")
    case .linear: "linear layer"
    case .attention: "attention"
    case .groupNorm(_, _, _, _, _, let activated): activated ? "group norm, SiLU" : "group norm"
    case .layerNorm: "layer norm"
    case .activation: "activation"
    case .geglu: "GEGLU"
    case .sum: "sum"
    case .concatenation: "concatenation"
    case .upsampling: "upsampling"
    }
  }

  /// Where in a network it stands, by the extents that its levels differ in.
  public var place: String {
    switch self {
    case .convolution(_, _, _, _, _, let height, let width), .groupNorm(_, _, _, let height, let width, _),
      .concatenation(_, _, _, let height, let width), .upsampling(_, _, let height, let width):
      "\(height)x\(width)"
    case .linear(_, let rows, _, _): "\(rows) rows"
    case .attention(_, let targets, let sources, _, _): "\(targets) to \(sources)"
    case .layerNorm(let rows, _), .geglu(let rows, _): "\(rows) rows"
    case .activation(let count), .sum(let count): "\(count) values"
    }
  }
}
