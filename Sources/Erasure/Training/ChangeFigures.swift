internal import Configuration
internal import Tensors

/// How far trained weights have moved, for the record of a run.
struct ChangeFigures {
  let members: [String: JSON]

  var json: JSON { .object(members) }

  /// - Parameters:
  ///   - trained: by names of `base`
  ///   - count: the number of parameters that the trained ones are a share of; those of `base` if nil
  init(_ trained: [String: Tensor], from base: Weights, of count: Int? = nil) {
    var parameters = 0
    var (moved, size) = (0.0, 0.0)
    for (name, tensor) in trained.sorted(by: { $0.key < $1.key }) {
      guard let start = base[name] else { continue }
      parameters += tensor.count
      moved += (tensor - start).sumOfSquares
      size += start.sumOfSquares
    }
    members = [
      "trained_tensors": .integer(trained.count), "trained_parameters": .integer(parameters),
      "share_of_parameters": .number(Double(parameters) / Double(max(count ?? base.parameterCount, 1))),
      "relative_change": .number((moved / max(size, .leastNormalMagnitude)).squareRoot()),
    ]
  }
}
