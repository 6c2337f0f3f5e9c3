internal import Diffusion
internal import FoundationEssentials
internal import Tensors

/// A CLIP model, in a folder as transformers writes it, that places images and prompts in one space.
struct CLIPJudge {
  let source: NamedJudge
  private let model: CLIPModel
  private let tokenizer: CLIPTokenizer
  private let preprocessing: CLIPPreprocessing

  init(_ source: NamedJudge, _ context: MetricContext, for metric: String) throws {
    self.source = source
    model = try CLIPModel(folder: source.folder)
    tokenizer = try CLIPTokenizer(folder: Self.tokenizerFolder(source, context))
    preprocessing = try CLIPPreprocessing(folder: source.folder)
    let text = model.config.text
    guard tokenizer.modelMaxLength <= text.maxPositions, tokenizer.vocabulary.count <= text.vocabularySize else {
      throw MetricError(
        "\(metric): a tokenizer of \(tokenizer.vocabulary.count) tokens and \(tokenizer.modelMaxLength) positions does"
          + " not fit the CLIP model \(source.folder) of \(text.vocabularySize) and \(text.maxPositions)")
    }
    // 2 is what old configurations say, whatever the tokenizer has; see CLIPTextModel.
    guard text.endToken == tokenizer.endToken || text.endToken == 2 else {
      throw MetricError(
        "\(metric): the CLIP model \(source.folder) reads a prompt at its end token \(text.endToken), and the"
          + " tokenizer ends it with \(tokenizer.endToken)")
    }
  }

  /// The folders whose files decide what it says.
  static func folders(of source: NamedJudge, _ context: MetricContext) -> [String] {
    let tokenizer = tokenizerFolder(source, context)
    return tokenizer == source.folder ? [source.folder] : [source.folder, tokenizer]
  }

  /// The folder's own tokenizer where it has one, else the base model's.
  private static func tokenizerFolder(_ source: NamedJudge, _ context: MetricContext) -> String {
    let own = ["vocab.json", "tokenizer.json"].contains {
      FileManager.default.fileExists(atPath: source.folder + "/" + $0)
    }
    return own ? source.folder : context.modelFolder + "/tokenizer"
  }

  /// Whether each image is nearer to the first of two texts than to the second: the larger share of the softmax of
  /// both.
  ///
  /// - Parameter pairs: the two texts, one pair for each image
  func prefersFirst(
    _ images: [RGBImage], _ pairs: [(String, String)], advance: (Int) throws -> Void
  ) throws -> [Bool] {
    // One pass over the images; what they are held against costs next to nothing.
    let pictures = try places(of: images, advance: advance)
    let (first, second) = (cosines(pictures, pairs.map(\.0)), cosines(pictures, pairs.map(\.1)))
    return zip(first, second).map { $0 > $1 }
  }

  /// The cosine between each image and its prompt, in [-1, 1].
  func cosines(_ images: [RGBImage], _ prompts: [String], advance: (Int) throws -> Void) throws -> [Double] {
    cosines(try places(of: images, advance: advance), prompts)
  }

  /// The embeddings of images, each of length 1: (images, projection width).
  func places(of images: [RGBImage], advance: (Int) throws -> Void) throws -> Tensor {
    try refuseOtherSizes(images, than: model.config.vision.imageSize, for: source)
    return try inBatches(images, advance: advance) { model.imageFeatures(preprocessing($0)) }.normalizedRows()
  }

  private func cosines(_ pictures: Tensor, _ prompts: [String]) -> [Double] {
    var places: [String: Tensor] = [:]
    for prompt in prompts where places[prompt] == nil {
      places[prompt] = model.textFeatures([tokenizer.encode(prompt)])
    }
    let texts = concatenate(prompts.compactMap { places[$0] }, axis: 0).normalizedRows()
    return (pictures * texts).sum(axis: -1).values.map(Double.init)
  }
}
