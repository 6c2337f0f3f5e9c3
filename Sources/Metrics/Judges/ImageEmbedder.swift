public import Diffusion
public import Tensors

/// Places images in the space of the base model's CLIP.
public struct ImageEmbedder {
  private let judge: CLIPJudge

  /// - Parameter name: who asks, for errors
  /// - Throws: ``MetricError`` where the card declares no CLIP judge, or what its folder is refused for.
  public init(_ context: MetricContext, for name: String) throws {
    judge = try CLIPJudge(context.judge("clip", for: name, .clip), context, for: name)
  }

  /// The folders whose files decide where an image is.
  ///
  /// - Throws: ``MetricError`` where the card declares no CLIP judge.
  public static func folders(_ context: MetricContext, for name: String) throws -> [String] {
    CLIPJudge.folders(of: try context.judge("clip", for: name, .clip), context)
  }

  /// (images, projection width), each row of length 1.
  ///
  /// - Throws: ``MetricError`` for images of another size than the judge reads.
  public func embeddings(_ images: [RGBImage]) throws -> Tensor { try judge.places(of: images) { _ in } }
}
