public import Configuration

/// What can change a stage's result, and the digest of it.
///
/// The parts are kept beside the digest so that a miss can be explained by its nearest neighbour.
public struct StageKey: Equatable, Sendable {
  /// The kind of stage, for example `fisher`.
  public let stage: String
  /// Everything that can change the result, an object of named parts; the code that computes is one of them.
  public let parts: JSON
  /// SHA-256 of the canonical JSON `{"parts": ..., "stage": ...}`.
  public let digest: Digest

  public init(stage: String, parts: JSON) {
    self.stage = stage
    self.parts = parts
    let whole: JSON = ["stage": .string(stage), "parts": parts]
    digest = Digest(hashing: whole.canonical())
  }
}
