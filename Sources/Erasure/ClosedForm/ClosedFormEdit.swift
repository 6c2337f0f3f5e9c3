internal import Configuration
public import Tensors

/// The closed-form edit of a linear layer: the weight that sends given inputs c to given outputs v*, and all other
/// inputs where they went before (Orgad et al., TIME, 2023; UCE, arXiv 2308.14761, equation 7):
///
///     W* = (Σ s v* cᵀ + λ W) (Σ s c cᵀ + λ I)⁻¹
///
/// Sums and solution are float64; the system is solved by its Cholesky decomposition, no inverse is formed. Without
/// any pair W* is W.
public struct ClosedFormEdit {
  /// W, (outputs, inputs).
  public let weight: Matrix
  /// Σ s c cᵀ, (inputs, inputs).
  public private(set) var gram: Matrix
  /// Σ s v* cᵀ, (outputs, inputs).
  public private(set) var targets: Matrix

  public init(_ weight: Matrix) {
    self.weight = weight
    gram = Matrix.identity(weight.columns, scale: 0)
    targets = weight * 0
  }

  /// Adds pairs of an input and the output that it is to have.
  ///
  /// - Parameters:
  ///   - inputs: (pairs, inputs)
  ///   - outputs: (pairs, outputs)
  ///   - scale: s
  public mutating func map(_ inputs: Matrix, to outputs: Matrix, scale: Double = 1) {
    precondition(inputs.rows == outputs.rows, "\(inputs.rows) inputs for \(outputs.rows) outputs")
    gram = gram + inputs.times(inputs, transposed: true) * scale
    targets = targets + outputs.times(inputs, transposed: true) * scale
  }

  /// Adds inputs (pairs, inputs) whose outputs are to stay what they are.
  public mutating func keep(_ inputs: Matrix, scale: Double = 1) { map(inputs, to: output(of: inputs), scale: scale) }

  /// W c for each row c of inputs (pairs, inputs): (pairs, outputs).
  public func output(of inputs: Matrix) -> Matrix { inputs.times(weight, otherTransposed: true) }

  /// W*, (outputs, inputs).
  ///
  /// - Parameter lambda: λ, how firmly the weight is held where no pair asks for anything
  /// - Throws: ``ErasureError`` where the pairs leave W* open, as they may without λ.
  public func edited(lambda: Double) throws -> Matrix {
    let system = gram + Matrix.identity(weight.columns, scale: lambda)
    do {
      return try system.solved(for: targets + weight * lambda)
    } catch let error as MatrixError {
      throw ErasureError(
        "the closed form has no unique solution (\(error)): a larger lambda, or more text to keep, makes it one")
    }
  }
}

extension ClosedFormEdit {
  /// Edits the key and value matrices of every cross-attention layer of a UNet.
  ///
  /// - Parameter accumulate: adds the pairs of one matrix, given its name; runs on several threads at once
  /// - Returns: the edited matrices by name
  /// - Throws: ``ErasureError`` where the UNet has no cross-attention or the pairs leave an edit open.
  public static func ofCrossAttention(
    _ weights: Weights, lambda: Double, accumulate: (String, inout ClosedFormEdit) throws -> Void
  ) throws -> [String: Tensor] {
    let matrices = try crossAttentionMatrices(weights)
    let edited = try parallelMap(matrices.count) { index in
      var edit = ClosedFormEdit(matrices[index].matrix)
      try accumulate(matrices[index].name, &edit)
      return try edit.edited(lambda: lambda).tensor
    }
    return Dictionary(zip(matrices.map(\.name), edited), uniquingKeysWith: { $1 })
  }

  /// The key and value matrices of every cross-attention layer, in the order of their names.
  public static func crossAttentionMatrices(_ weights: Weights) throws -> [(name: String, matrix: Matrix)] {
    try ParameterGroup.crossAttentionKeysValues.names(in: weights).compactMap { name in
      weights[name].map { (name, Matrix($0)) }
    }
  }

  /// What the record of a run keeps about such an edit: ‖W* - W‖ / ‖W‖ of each matrix and their mean.
  static func details(of edited: [String: Tensor], from weights: Weights) -> [String: JSON] {
    var changes: [String: JSON] = [:]
    var sum = 0.0
    for (name, tensor) in edited {
      guard let weight = weights[name] else { continue }
      let change = ((tensor - weight).sumOfSquares / weight.sumOfSquares).squareRoot()
      changes[name] = .number(change)
    }
    for name in changes.keys.sorted() { sum += changes[name]?.number ?? 0 }
    return [
      "mean_relative_change": .number(sum / Double(max(changes.count, 1))),
      "relative_change_by_tensor": .object(changes),
    ]
  }
}
