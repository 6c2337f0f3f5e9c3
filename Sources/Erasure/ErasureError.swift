/// An edit that cannot be made, in one sentence.
public struct ErasureError: Error, CustomStringConvertible, Equatable {
  public let description: String

  public init(_ description: String) { self.description = description }
}
