public import Configuration

/// The Fréchet distance (Heusel et al. 2017, arXiv 1706.08500) between the judge network's features of drawn images and
/// of reference images, each summed up by mean and covariance.
public struct FIDConfiguration: Configuration {
  public var limit = 1000
  public var referenceLimit = 2000
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<FIDConfiguration>] = [
    Field(
      "limit", \.limit, .atLeast(2), "Images drawn; values compare only at equal numbers", source: "seed document 000"),
    Field("reference_limit", \.referenceLimit, .atLeast(2), "Reference images"),
    Field(
      "judge", \.judge, .notEmpty,
      "The judge whose features are compared, of those the base model names; the judge of its concepts if unset"),
    .device(\.device),
  ]
}
