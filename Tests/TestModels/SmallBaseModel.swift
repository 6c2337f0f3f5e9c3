public import Configuration
public import Diffusion
import Foundation
public import Metrics
public import Shapes
import Tensors
import TestSupport

/// A base model's folder with the card of the drawn world and judges of random weights: nothing that it says is right,
/// and all that it says is the same every time.
public struct SmallBaseModel {
  public static let world = ShapesWorld()
  public let folder: String
  public var card: ModelCard

  /// - Parameters:
  ///   - folder: made where it is missing
  ///   - draws: whether it is a model at all, with the random weights of `Fixtures/tiny-diffusers`; else there are
  ///     card, judges and a tokenizer alone, which is all that metrics need
  ///   - judge: false leaves the attribute judge's folder out
  public init(folder: String, draws: Bool = false, judge: Bool = true) throws {
    self.folder = folder
    card = Self.world.modelCard(sampler: ModelCard.Sampler(steps: 2, guidanceScale: 3))
    let tokenizer = folder + "/tokenizer"
    if draws {
      try FileManager.default.copyItem(atPath: Fixtures.path("tiny-diffusers"), toPath: folder)
      try card.write(folder: folder)
    } else {
      try FileManager.default.createDirectory(atPath: tokenizer, withIntermediateDirectories: true)
      try VocabularyBuilder().write(to: tokenizer)
    }
    if judge { try writeJudge() }
    try writeCLIP(tokenizer: CLIPTokenizer(folder: tokenizer))
  }

  private func writeJudge() throws {
    let attributes = judgeFolder(ShapesWorld.judgeName)
    try FileManager.default.createDirectory(atPath: attributes, withIntermediateDirectories: true)
    let weights = Weights(initialising: RandomStream(seed: 3, "judge"))
    _ = try JudgeNetwork(weights)
    try JudgeNetwork.write(weights, folder: attributes)
  }

  private func writeCLIP(tokenizer: CLIPTokenizer) throws {
    let tower = CLIPTowerConfig(hiddenSize: 16, intermediateSize: 32, layers: 1, heads: 2, projectionSize: 8)
    let config = CLIPConfig(
      text: CLIPTextConfig(
        tower: tower, vocabularySize: tokenizer.vocabulary.count, maxPositions: tokenizer.modelMaxLength,
        beginToken: tokenizer.beginToken, endToken: tokenizer.endToken, padToken: tokenizer.padToken),
      vision: CLIPVisionConfig(tower: tower, imageSize: 32, patchSize: 8))
    let weights = Weights(initialising: RandomStream(seed: 5, "clip"))
    _ = try CLIPModel(config, weights)
    try CLIPModel.write(config, weights, to: judgeFolder(ShapesWorld.clipName))
  }

  private func judgeFolder(_ name: String) -> String { folder + "/" + (card.judges[name] ?? name) }

  public func context(erasing concepts: [String] = [], seed: UInt64 = 7) -> MetricContext {
    MetricContext(modelFolder: folder, card: card, erasedConcepts: concepts, seed: seed)
  }

  /// What the judge of this folder says of images: the class under each head.
  public func judged(_ images: [RGBImage]) throws -> [[Int]] {
    try JudgeNetwork.load(folder: judgeFolder(ShapesWorld.judgeName)).classify(RGBImage.batch(images))
  }

  /// Drawn pictures, number `first` and after.
  public static func pictures(_ count: Int, from first: Int = 0) -> [RGBImage] {
    (first..<first + count).map { world.scene(.test, $0).drawn() }
  }
}

/// A metric's configuration from its JSON.
public func configured<C: Configuration>(_ type: C.Type, _ json: JSON) throws -> C { try C.parse(json) }
