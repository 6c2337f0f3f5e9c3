public import Configuration

/// The architecture of a ``CLIPVisionModel``.
public struct CLIPVisionConfig: Sendable, Equatable {
  public var tower: CLIPTowerConfig
  /// Height and width of the images, in pixels.
  public var imageSize: Int
  public var patchSize: Int
  public var channels = 3

  public init(tower: CLIPTowerConfig, imageSize: Int, patchSize: Int) {
    self.tower = tower
    self.imageSize = imageSize
    self.patchSize = patchSize
  }

  /// Reads a transformers configuration; absent keys have transformers' defaults.
  ///
  /// - Throws: ``ModelFolderError`` for a value of another type, or a setting that Lethe does not support.
  public init(_ file: ConfigurationFile) throws {
    tower = try CLIPTowerConfig(
      file,
      defaults: CLIPTowerConfig(
        hiddenSize: 768, intermediateSize: 3072, layers: 12, heads: 12, projectionSize: 512))
    imageSize = try file.uniform("image_size", default: 224)
    patchSize = try file.uniform("patch_size", default: 32)
    guard imageSize % patchSize == 0 else {
      throw file.error("patch_size", "an image of \(imageSize) pixels cannot be cut into patches of \(patchSize)")
    }
    channels = try file.integer("num_channels", default: 3)
    try file.refuseOthers(
      than: CLIPTowerConfig.settings + ["image_size", "patch_size", "num_channels"],
      harmless: CLIPTowerConfig.transformersKeys)
  }

  /// The configuration as transformers writes it.
  public var json: JSON { .object(keys) }

  var keys: [String: JSON] {
    tower.json.merging(
      [
        "architectures": .array([.string("CLIPVisionModelWithProjection")]),
        "model_type": .string("clip_vision_model"),
        "image_size": .integer(imageSize),
        "patch_size": .integer(patchSize),
        "num_channels": .integer(channels),
      ], uniquingKeysWith: { $1 })
  }

  var positions: Int { (imageSize / patchSize) * (imageSize / patchSize) + 1 }
}
