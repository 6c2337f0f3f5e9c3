import Configuration
import Diffusion
import Foundation
import Metrics
import Shapes
import Tensors
import TestSupport

/// A model folder with the card of the drawn world and judges of random weights: enough for metrics, which draw nothing.
struct SmallBaseModel {
  static let world = ShapesWorld()
  let folder: String
  var card: ModelCard

  /// - Parameter judge: false leaves the attribute judge's folder out
  init(folder: String, judge: Bool = true) throws {
    self.folder = folder
    card = Self.world.modelCard()
    if judge {
      let attributes = folder + "/" + (card.judges[ShapesWorld.judgeName] ?? "")
      try FileManager.default.createDirectory(atPath: attributes, withIntermediateDirectories: true)
      let weights = Weights(initialising: RandomStream(seed: 3, "judge"))
      _ = try JudgeNetwork(weights)
      try JudgeNetwork.write(weights, folder: attributes)
    }
    let tokenizer = folder + "/tokenizer"
    try FileManager.default.createDirectory(atPath: tokenizer, withIntermediateDirectories: true)
    try VocabularyBuilder().write(to: tokenizer)
    let tower = CLIPTowerConfig(hiddenSize: 16, intermediateSize: 32, layers: 1, heads: 2, projectionSize: 8)
    let tokens = try CLIPTokenizer(folder: tokenizer)
    let config = CLIPConfig(
      text: CLIPTextConfig(
        tower: tower, vocabularySize: tokens.vocabulary.count, maxPositions: tokens.modelMaxLength,
        beginToken: tokens.beginToken, endToken: tokens.endToken, padToken: tokens.padToken),
      vision: CLIPVisionConfig(tower: tower, imageSize: 32, patchSize: 8))
    let weights = Weights(initialising: RandomStream(seed: 5, "clip"))
    _ = try CLIPModel(config, weights)
    try CLIPModel.write(config, weights, to: folder + "/" + (card.judges[ShapesWorld.clipName] ?? ""))
  }

  func context(erasing concepts: [String] = [], seed: UInt64 = 7) -> MetricContext {
    MetricContext(modelFolder: folder, card: card, erasedConcepts: concepts, seed: seed)
  }

  /// What the judge of this folder says of an image.
  func judged(_ images: [RGBImage]) throws -> [[Int]] {
    try JudgeNetwork.load(folder: folder + "/" + (card.judges[ShapesWorld.judgeName] ?? ""))
      .classify(RGBImage.batch(images))
  }

  /// Drawn pictures, number `first` and after.
  static func pictures(_ count: Int, from first: Int = 0) -> [RGBImage] {
    (first..<first + count).map { world.scene(.test, $0).drawn() }
  }
}

/// A metric's configuration from its JSON.
func configured<C: Configuration>(_ type: C.Type, _ json: JSON) throws -> C { try C.parse(json) }
