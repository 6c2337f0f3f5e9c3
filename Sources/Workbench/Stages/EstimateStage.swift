internal import Erasure
internal import Tensors

/// Computes one estimate of a technique.
enum EstimateStage {
  static let sourceFile = #fileID

  static func compute(_ estimate: Estimate, _ context: EditContext) throws -> [String: Tensor] {
    try estimate.compute(context)
  }
}
