internal import Configuration
internal import Diffusion
internal import FoundationEssentials
internal import Shapes
internal import Tensors

/// The most images that a metric can be told to look at: far above what anyone draws, and few enough that their
/// requests and their features fit into memory.
let mostImages = 1_000_000

/// A network of the base model's card that judges images.
struct NamedJudge {
  /// What a judge is, as its `config.json` tells.
  enum Kind: String {
    case attributes = "a network that names attributes"
    case clip = "a CLIP model"

    init?(folder: String) {
      guard let config = try? JSON.read(folder + "/config.json") else { return nil }
      if config["text_config"] != nil {
        self = .clip
      } else if config["architecture"] != nil {
        self = .attributes
      } else {
        return nil
      }
    }
  }

  /// The card's name for it.
  let name: String
  /// Its folder.
  let folder: String
  /// What a value says it was judged by: the card's own name, then the judge's.
  let label: String
}

extension MetricContext {
  /// The base model's card.
  ///
  /// - Throws: ``MetricError`` where there is none.
  func requireCard(for metric: String) throws -> ModelCard {
    guard let card else {
      throw MetricError(
        "\(metric): the base model \(modelFolder) has no \(ModelCard.fileName), which would name its concepts, prompts"
          + " and judges")
    }
    return card
  }

  /// The judge of that name.
  ///
  /// - Throws: ``MetricError`` where the card declares none, its folder is missing, or it is of another kind.
  func judge(_ name: String, for metric: String, _ kind: NamedJudge.Kind = .attributes) throws -> NamedJudge {
    let card = try requireCard(for: metric)
    guard let relative = card.judges[name] else {
      let known = card.judges.keys.sorted()
      throw MetricError(
        "\(metric): the base model \"\(card.name)\" declares no judge \"\(name)\""
          + (known.isEmpty ? "" : "; it declares \(known.joined(separator: ", "))"))
    }
    let folder = modelFolder + "/" + relative
    let config = folder + "/config.json"
    guard FileManager.default.isReadableFile(atPath: config) else {
      let problem = readingProblem(of: config, missing: "is missing")
      throw MetricError("\(metric): the judge \"\(name)\" of \"\(card.name)\" \(problem) (\(config))")
    }
    if let other = NamedJudge.Kind(folder: folder), other != kind {
      let fitting = card.judges.filter { NamedJudge.Kind(folder: modelFolder + "/" + $0.value) == kind }.keys.sorted()
      throw MetricError(
        "\(metric): the judge \"\(name)\" of \"\(card.name)\" is \(other.rawValue), and this takes \(kind.rawValue)"
          + (fitting.isEmpty ? "" : ": \(fitting.joined(separator: ", "))"))
    }
    return NamedJudge(name: name, folder: folder, label: card.name + "/" + name)
  }

  /// The judge of that name, or where none is named that of the card's concepts.
  ///
  /// - Throws: ``MetricError`` also for a card without concepts.
  func judgeOfConcepts(_ name: String?, for metric: String) throws -> NamedJudge {
    let card = try requireCard(for: metric)
    guard let name = name ?? card.concepts.first?.judge.judge else {
      throw MetricError(
        "\(metric): the base model \"\(card.name)\" declares no concepts and so no judge of them; name one")
    }
    return try judge(name, for: metric)
  }

  /// One request for each of `count` images: the prompts in turn, and then again with other noise.
  func requests(_ count: Int, _ prompts: [String]) -> [ImageRequest] {
    (0..<count).map { ImageRequest(prompt: prompts[$0 % prompts.count], seed: seed, repetition: $0 / prompts.count) }
  }
}

/// Reads a folder that a metric named among its judges, so that one which is damaged is refused before images are drawn
/// for it.
///
/// - Throws: what the network's own loading throws: one sentence that names file and tensor.
public func checkJudge(folder: String) throws {
  switch NamedJudge.Kind(folder: folder) {
  case .attributes: _ = try JudgeNetwork.load(folder: folder)
  case .clip: _ = try CLIPModel(folder: folder)
  // A tokenizer, or the maps of a network that is read in parts.
  case nil: break
  }
}

/// The attribute judge of the drawn world, reading any number of images.
struct AttributeJudge {
  let network: JudgeNetwork
  let source: NamedJudge

  /// - Throws: an error of one sentence where its folder does not hold such a network.
  init(_ source: NamedJudge) throws {
    network = try JudgeNetwork.load(folder: source.folder)
    self.source = source
  }

  /// Features of images, (images, ``JudgeNetwork/featureWidth``).
  ///
  /// - Parameter advance: called after each batch with the number of images done
  /// - Throws: ``MetricError`` for images of another size than the judge reads.
  func features(_ images: [RGBImage], advance: (Int) throws -> Void) throws -> Tensor {
    try refuseOtherSizes(images, than: shapesImageSize, for: source)
    return try inBatches(images, advance: advance) { network.features($0) }
  }

  /// The class of each image under each head, heads in the order of `AttributeKind`.
  func classes(_ images: [RGBImage], advance: (Int) throws -> Void) throws -> [[Int]] {
    let columns = network.logits(features: try features(images, advance: advance)).map { $0.argmaxLastAxis() }
    return images.indices.map { image in columns.map { $0[image] } }
  }
}

/// - Throws: ``MetricError`` where an image is not `side` pixels high and wide.
func refuseOtherSizes(_ images: [RGBImage], than side: Int, for judge: NamedJudge) throws {
  for image in images where image.width != side || image.height != side {
    throw MetricError(
      "the judge \(judge.label) reads images of \(side) x \(side) pixels, not of \(image.width) x \(image.height)")
  }
}

/// What `body` makes of images, row by row: a few at a time, since maps of all together would not fit the memory.
func inBatches(
  _ images: [RGBImage], advance: (Int) throws -> Void, _ body: (Tensor) -> Tensor
) throws -> Tensor {
  let size = 64
  let parts = try stride(from: 0, to: images.count, by: size).map { first in
    let range = first..<min(first + size, images.count)
    let part = body(RGBImage.batch(Array(images[range])))
    try advance(range.upperBound)
    return part
  }
  return parts.count == 1 ? parts[0] : concatenate(parts, axis: 0)
}
