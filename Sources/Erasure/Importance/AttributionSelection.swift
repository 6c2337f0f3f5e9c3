public import Configuration
public import Tensors

/// Part of a UNet whose weights CAD may set to zero (table 8 of the publication).
public enum AttributedModules: String, CaseIterable, ConfigurationValue {
  /// Both matrices of the feed-forward layers.
  case feedForward = "ff"
  /// The projections of self-attention.
  case selfAttention = "attn1"
  /// The projections of cross-attention.
  case crossAttention = "attn2"
  /// The convolutions of the ResNet blocks, each output channel a row. (The publication has no code for them.)
  case residual

  var group: ParameterGroup {
    switch self {
    case .feedForward: .feedForward
    case .selfAttention: .selfAttention
    case .crossAttention: .crossAttention
    case .residual: .residual
    }
  }

  /// The names of the matrices and convolutions of these modules, in order, each once.
  ///
  /// - Throws: ``ErasureError`` where the UNet has none of one kind.
  public static func names(_ modules: [AttributedModules], in weights: Weights) throws -> [String] {
    let names = try modules.flatMap { try $0.group.names(in: weights) }
    return Set(names).filter { (weights[$0]?.rank ?? 0) >= 2 }.sorted()
  }
}

/// Which weights are set to zero by their attribution (algorithms 1 and 2): of each row, which is an output unit, the
/// int(ratio · length) weights that are highest, but none that does not count for the concept, or against it.
public struct AttributionSelection: Sendable {
  public enum Direction: Sendable {
    /// The weights that count most for the concept: without them it goes.
    case positive
    /// The weights that count most against it: without them it comes forward.
    case negative
  }

  public var direction: Direction
  /// In 0...1, the share of each row. It is rounded down, so that short rows may lose nothing at all.
  public var ratio: Double
  /// Ranks the weights of a whole matrix together.
  public var isFlattened: Bool
  /// Whether a weight of attribution 0 may be taken where the others do not suffice, as in the published script.
  public var takesZero: Bool

  public init(_ direction: Direction, ratio: Double, isFlattened: Bool = false, takesZero: Bool = false) {
    self.direction = direction
    self.ratio = ratio
    self.isFlattened = isFlattened
    self.takesZero = takesZero
  }

  /// - Parameters:
  ///   - attribution: at least the weights named, each of its weight's shape
  ///   - names: the weights to choose from
  /// - Throws: ``ErasureError`` for a ratio above 0 at which every row is too short to lose a weight.
  public func mask(_ attribution: [String: Tensor], of names: [String]) throws -> PruningMask {
    var tensors: [(name: String, tensor: Tensor)] = []
    for name in names {
      guard let tensor = attribution[name] else { throw ErasureError("the attribution has no tensor '\(name)'") }
      tensors.append((name, tensor))
    }
    try check(tensors.map(\.tensor))
    let chosen = try parallelMap(tensors.count) { positions(tensors[$0].tensor) }
    var mask = PruningMask()
    for ((name, tensor), positions) in zip(tensors, chosen) { mask.prune(positions, of: name, count: tensor.count) }
    return mask
  }

  /// - Parameter tensors: the weights to choose from, or their attributions
  /// - Throws: ``ErasureError`` for a ratio above 0 at which every row is too short to lose a weight.
  public func check(_ tensors: [Tensor]) throws {
    try refuseRatioWithoutEffect(
      ratio, longest: tensors.map(rowLength).max() ?? 0, of: isFlattened ? "matrix" : "row")
  }

  private func rowLength(_ tensor: Tensor) -> Int {
    isFlattened ? tensor.count : tensor.count / max(tensor.shape[0], 1)
  }

  private func positions(_ attribution: Tensor) -> [Int] {
    let length = rowLength(attribution)
    let count = Int(ratio * Double(length))
    guard length > 0, count > 0 else { return [] }
    return (direction == .positive ? attribution : -attribution).withUnsafeValues { scores in
      stride(from: 0, to: scores.count, by: length).flatMap { start -> [Int] in
        let row = UnsafeBufferPointer(rebasing: scores[start..<start + length])
        var positions = positionsOfLargest(count, in: row)
        if takesZero {
          positions = (positions + row.indices.lazy.filter { row[$0] == 0 }.prefix(count - positions.count)).sorted()
        }
        return positions.map { start + $0 }
      }
    }
  }
}
