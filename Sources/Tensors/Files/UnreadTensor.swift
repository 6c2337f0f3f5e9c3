/// A tensor of a file that is of no kind of number that weights are read from: of integers, for example of quantised
/// weights.
public struct UnreadTensor: Sendable, Equatable {
  /// As the file has it; a model in a single file is asked for by other names.
  public let name: String
  /// As safetensors calls it: `I8`.
  public let dataType: String
  public let shape: [Int]
  /// The file that has it.
  public let path: String

  /// What is wrong with it where a weight was expected, in words that follow its name.
  public var problem: String {
    "has the data type \(dataType), which Lethe does not read as weights; it reads \(TensorElement.listed)"
  }
}

extension TensorElement {
  /// All of them, for sentences.
  static let listed = "F32, F16, BF16 and F64"
}
