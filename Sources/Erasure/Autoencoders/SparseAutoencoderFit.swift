public import Configuration
public import Tensors

extension SparseAutoencoder {
  /// How well an autoencoder explains vectors, with k latents of each.
  public struct Fit: Equatable, Sendable {
    /// Σ ‖x̂ - x‖² / Σ ‖x - mean‖²: the share of the variance that is left unexplained.
    public var unexplained: Double
    /// The latents that are among the k of no vector.
    public var deadLatents: Int

    public init(unexplained: Double, deadLatents: Int) {
      self.unexplained = unexplained
      self.deadLatents = deadLatents
    }
  }

  /// - Parameter vectors: (vectors, width)
  public func fit(to vectors: Tensor) throws -> Fit {
    // A fixed cut, so that the sums are the same for any number of threads.
    let starts = Array(stride(from: 0, to: vectors.shape[0], by: 4096))
    let pieces = try parallelMap(starts.count) { index -> (error: Double, inUse: [Bool]) in
      let rows = vectors.slice(axis: 0, starts[index]..<min(starts[index] + 4096, vectors.shape[0]))
      let x = rows.reshaped([1] + rows.shape)
      let z = encode(x)
      return (Double((decode(z) - x).sumOfSquares), z.columnsInUse)
    }
    var inUse = [Bool](repeating: false, count: latents)
    for piece in pieces { for (index, fires) in piece.inUse.enumerated() where fires { inUse[index] = true } }
    let error = pieces.reduce(0) { $0 + $1.error }
    return Fit(
      unexplained: error / Double((vectors - vectors.mean(axis: 0)).sumOfSquares),
      deadLatents: inUse.reduce(0) { $0 + ($1 ? 0 : 1) })
  }
}

extension SparseAutoencoder.Fit {
  private static let unexplainedName = "unexplained", deadName = "dead_latents"

  /// As an estimate keeps it.
  var tensors: [String: Tensor] {
    [Self.unexplainedName: Tensor(Float(unexplained)), Self.deadName: Tensor(Float(deadLatents))]
  }

  /// - Returns: nil for the tensors of an autoencoder that was not trained but read.
  public init?(tensors: [String: Tensor]) {
    guard let unexplained = tensors[Self.unexplainedName], let dead = tensors[Self.deadName] else { return nil }
    self.init(unexplained: Double(unexplained.item), deadLatents: Int(dead.item))
  }

  /// As records and the command line say it.
  public var json: JSON { ["unexplained": .number(unexplained), "dead_latents": .integer(deadLatents)] }
}
