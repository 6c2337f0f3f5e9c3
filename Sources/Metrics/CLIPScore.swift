public import Configuration
public import Diffusion
internal import FoundationEssentials
public import Tensors

/// The CLIP score: a hundred times the mean cosine between the CLIP embeddings of a prompt and of the image drawn from
/// it (after Hessel et al. 2021, arXiv 2104.08718, without its clamp at zero and its factor 2.5).
public struct CLIPScoreConfiguration: Configuration {
  public var limit = 300
  public var withoutConcept: String?
  public var judge: String?
  public var device: Device?

  public init() {}

  public static let fields: [Field<CLIPScoreConfiguration>] = [
    Field(
      "limit", \.limit, .between(1...mostImages), "Images drawn, one for each prompt", source: "seed document 000"),
    .withoutConcept(\.withoutConcept),
    Field("judge", \.judge, .notEmpty, "The CLIP model that judges, of those the base model names; \"clip\" if unset"),
    .device(\.device),
  ]
}

extension CLIPScoreConfiguration: Metric {
  public static let name = "clip_score"
  public static let sourceFile = #fileID

  public func requests(_ context: MetricContext) throws -> [ImageRequest] {
    context.requests(
      limit, try context.generalPrompts(for: Self.name, without: withoutConcept.map { [$0] } ?? []))
  }

  public func judges(_ context: MetricContext) throws -> [String] {
    let judge = try judge(context)
    let tokenizer = CLIPJudge.tokenizerFolder(judge, context)
    return tokenizer == judge.folder ? [judge.folder] : [judge.folder, tokenizer]
  }

  public func evaluate(
    _ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let judge = try CLIPJudge(judge(context), context)
    let cosines = try judge.cosines(images, requests(context).map(\.prompt)) {
      try monitor.advance(to: $0, of: images.count)
    }
    let mean = cosines.reduce(0, +) / Double(cosines.count)
    let variance = cosines.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(1, cosines.count - 1))
    return [
      MetricValue(
        Self.name, 100 * mean, unit: unit("100 x cosine", without: withoutConcept), .higher, count: images.count,
        judge: judge.source.label,
        details: ["standard_deviation": .number(100 * variance.squareRoot())])
    ]
  }

  private func judge(_ context: MetricContext) throws -> NamedJudge {
    try context.judge(judge ?? "clip", for: Self.name, .clip)
  }
}

/// Places images in the space of the base model's CLIP.
public struct ImageEmbedder {
  private let judge: CLIPJudge

  /// - Parameter name: who asks, for errors
  /// - Throws: ``MetricError`` where the card declares no CLIP judge, or what its folder is refused for.
  public init(_ context: MetricContext, for name: String) throws {
    judge = try CLIPJudge(context.judge("clip", for: name, .clip), context)
  }

  /// (images, projection width), each row of length 1.
  ///
  /// - Throws: ``MetricError`` for images of another size than the judge reads.
  public func embeddings(_ images: [RGBImage]) throws -> Tensor { try judge.embeddings(images) { _ in } }
}

/// A CLIP model, in a folder as transformers writes it, that places images and prompts in one space.
private struct CLIPJudge {
  let source: NamedJudge
  private let model: CLIPModel
  private let tokenizer: CLIPTokenizer
  private let preprocessing: CLIPPreprocessing

  init(_ source: NamedJudge, _ context: MetricContext) throws {
    self.source = source
    model = try CLIPModel(folder: source.folder)
    tokenizer = try CLIPTokenizer(folder: Self.tokenizerFolder(source, context))
    preprocessing = try CLIPPreprocessing(folder: source.folder)
    let text = model.config.text
    guard tokenizer.modelMaxLength <= text.maxPositions, tokenizer.vocabulary.count <= text.vocabularySize else {
      throw MetricError(
        "clip_score: a tokenizer of \(tokenizer.vocabulary.count) tokens and \(tokenizer.modelMaxLength) positions does"
          + " not fit the CLIP model \(source.folder) of \(text.vocabularySize) and \(text.maxPositions)")
    }
    // 2 is what old configurations say, whatever the tokenizer has; see CLIPTextModel.
    guard text.endToken == tokenizer.endToken || text.endToken == 2 else {
      throw MetricError(
        "clip_score: the CLIP model \(source.folder) reads a prompt at its end token \(text.endToken), and the"
          + " tokenizer ends it with \(tokenizer.endToken)")
    }
  }

  /// The folder's own tokenizer where it has one, else the base model's.
  static func tokenizerFolder(_ source: NamedJudge, _ context: MetricContext) -> String {
    let own = ["vocab.json", "tokenizer.json"].contains {
      FileManager.default.fileExists(atPath: source.folder + "/" + $0)
    }
    return own ? source.folder : context.modelFolder + "/tokenizer"
  }

  /// The places of images, of length 1: (images, projection width).
  func embeddings(_ images: [RGBImage], advance: (Int) throws -> Void) throws -> Tensor {
    try refuseOtherSizes(images, than: model.config.vision.imageSize, for: source)
    return try inBatches(images, advance: advance) { model.imageFeatures(preprocessing($0)) }.normalizedRows()
  }

  /// The cosine between each image and its prompt, in [-1, 1].
  func cosines(_ images: [RGBImage], _ prompts: [String], advance: (Int) throws -> Void) throws -> [Double] {
    var places: [String: Tensor] = [:]
    for prompt in prompts where places[prompt] == nil {
      places[prompt] = model.textFeatures([tokenizer.encode(prompt)])
    }
    let pictures = try embeddings(images, advance: advance)
    let texts = concatenate(prompts.compactMap { places[$0] }, axis: 0).normalizedRows()
    let products = (pictures * texts).sum(axis: -1)
    return products.values.map(Double.init)
  }
}
