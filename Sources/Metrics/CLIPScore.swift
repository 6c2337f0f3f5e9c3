public import Configuration

/// The CLIP score: a hundred times the mean cosine between the CLIP embeddings of a prompt and of the image drawn from it
/// (after Hessel et al. 2021, arXiv 2104.08718, without its clamp at zero and its factor 2.5).
public struct CLIPScoreConfiguration: Configuration {
  public var limit = 300
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<CLIPScoreConfiguration>] = [
    Field("limit", \.limit, .atLeast(1), "Images drawn, one for each prompt", source: "seed document 000"),
    Field("judge", \.judge, .notEmpty, "The CLIP model that judges, of those the base model names; \"clip\" if unset"),
    .device(\.device),
  ]
}
