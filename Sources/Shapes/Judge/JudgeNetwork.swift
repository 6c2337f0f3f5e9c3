internal import Diffusion
public import Tensors

/// The judge of the drawn world: a small convolutional network that names object, colour, style, background and mark
/// of a picture. It plays the part that ResNet-50, NudeNet and the style classifier have for Stable Diffusion, and its
/// hidden features are those of the Fréchet distance.
public struct JudgeNetwork {
  /// The width of ``features(_:)``.
  public static let featureWidth = 64

  private struct Block {
    let convolution: Conv2d
    let norm: GroupNorm

    init(_ weights: Weights, _ index: Int, inputs: Int, outputs: Int, stride: Int) throws {
      convolution = try Conv2d(weights.scope("blocks.\(index).conv"), inputs: inputs, outputs: outputs, stride: stride)
      norm = try GroupNorm(weights.scope("blocks.\(index).norm"), channels: outputs, groups: 8, epsilon: 1e-5)
    }

    func callAsFunction(_ x: Tensor) -> Tensor { norm(convolution(x)).relu() }
  }

  private static let shapes: [(inputs: Int, outputs: Int, stride: Int)] = [
    (3, 16, 1), (16, 32, 2), (32, 48, 1), (48, 64, 2), (64, 64, 2),
  ]

  private let blocks: [Block]
  private let hidden: Linear
  private let heads: Linear

  public init(_ weights: Weights) throws {
    blocks = try Self.shapes.enumerated().map { index, shape in
      try Block(weights, index, inputs: shape.inputs, outputs: shape.outputs, stride: shape.stride)
    }
    let side = shapesImageSize / 8
    hidden = try Linear(weights.scope("hidden"), inputs: 64 * side * side, outputs: JudgeNetwork.featureWidth)
    heads = try Linear(
      weights.scope("heads"), inputs: JudgeNetwork.featureWidth,
      outputs: AttributeKind.allCases.reduce(0) { $0 + $1.classes.count })
  }

  /// The maps after the first and the second block: what the autoencoder's perceptual loss compares.
  public func earlyMaps(_ images: Tensor) -> [Tensor] {
    let first = blocks[0](images)
    return [first, blocks[1](first)]
  }

  /// The channels of ``maps(_:)``, block by block.
  public static let mapChannels = shapes.map(\.outputs)

  /// The maps after every block, the first at the size of the images and the last at an eighth of it: what a perceptual
  /// distance compares.
  ///
  /// - Parameter images: (batch, 3, 32, 32) in [-1, 1]
  public func maps(_ images: Tensor) -> [Tensor] {
    var maps: [Tensor] = []
    for block in blocks { maps.append(block(maps.last ?? images)) }
    return maps
  }

  /// - Parameter images: (batch, 3, 32, 32) in [-1, 1]
  /// - Returns: (batch, 64), not negative
  public func features(_ images: Tensor) -> Tensor {
    let maps = blocks.reduce(images) { $1($0) }
    let batch = images.shape[0]
    // A rank of 3 makes each picture a product of its own, so that its features do not depend on its batch.
    return hidden(maps.reshaped([batch, 1, maps.count / batch])).relu().reshaped([batch, JudgeNetwork.featureWidth])
  }

  /// Scores of all classes under each head, in the order of ``AttributeKind``.
  public func logits(features: Tensor) -> [Tensor] {
    let batch = features.shape[0]
    let scores = heads(features.reshaped([batch, 1, JudgeNetwork.featureWidth]))
    let all = scores.reshaped([batch, scores.shape[2]])
    var first = 0
    return AttributeKind.allCases.map { kind in
      defer { first += kind.classes.count }
      return all.slice(axis: 1, first..<first + kind.classes.count)
    }
  }

  /// The class under each head for each picture: `[picture][head]`, heads in the order of ``AttributeKind``.
  public func classify(_ images: Tensor) -> [[Int]] {
    let columns = logits(features: features(images)).map { $0.argmaxLastAxis() }
    return (0..<images.shape[0]).map { picture in columns.map { $0[picture] } }
  }
}
