public import Configuration

/// The concept erasure rate: the share of images, drawn from prompts of the erased concept, in which the judge does not
/// find it; beside it the accuracy on every other concept, which an edit should leave alone.
public struct CERConfiguration: Configuration {
  public var concept: String?
  public var limit = 128
  public var retainLimit = 128
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<CERConfiguration>] = [
    Field(
      "concept", \.concept, filledBy: .technique("erase_concept"), otherwise: nil, .notEmpty,
      "The concept that should be gone", source: "seed document 001, section 4.1", role: .concept),
    Field("limit", \.limit, .atLeast(1), "Images drawn from prompts of the concept"),
    Field("retain_limit", \.retainLimit, .atLeast(1), "Images drawn from prompts of all other concepts together"),
    Field("judge", \.judge, .notEmpty, "The judge to ask, of those the base model names; the concept's own if unset"),
    .device(\.device),
  ]
}
