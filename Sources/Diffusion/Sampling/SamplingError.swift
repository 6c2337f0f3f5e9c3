/// A request that a model cannot draw, in one sentence.
public struct SamplingError: Error, CustomStringConvertible, Equatable {
  public let description: String

  public init(_ description: String) { self.description = description }
}
