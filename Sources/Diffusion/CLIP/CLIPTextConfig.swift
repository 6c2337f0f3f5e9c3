public import Configuration

/// The architecture of a ``CLIPTextModel``: the `text_encoder/config.json` of a diffusers folder.
public struct CLIPTextConfig: Sendable, Equatable {
  public var tower: CLIPTowerConfig
  public var vocabularySize: Int
  /// Positions of a prompt, begin and end token among them.
  public var maxPositions: Int
  public var beginToken: Int
  public var endToken: Int
  public var padToken: Int

  public init(
    tower: CLIPTowerConfig, vocabularySize: Int, maxPositions: Int, beginToken: Int, endToken: Int, padToken: Int
  ) {
    self.tower = tower
    self.vocabularySize = vocabularySize
    self.maxPositions = maxPositions
    self.beginToken = beginToken
    self.endToken = endToken
    self.padToken = padToken
  }

  /// Reads a transformers configuration; absent keys have transformers' defaults.
  ///
  /// - Throws: ``ModelFolderError`` for a value of another type, or a setting that Lethe does not support.
  public init(_ file: ConfigurationFile) throws {
    tower = try CLIPTowerConfig(
      file,
      defaults: CLIPTowerConfig(
        hiddenSize: 512, intermediateSize: 2048, layers: 12, heads: 8, projectionSize: 512))
    vocabularySize = try file.integer("vocab_size", default: 49408)
    maxPositions = try file.integer("max_position_embeddings", default: 77)
    beginToken = try file.integer("bos_token_id", default: 49406, atLeast: 0)
    endToken = try file.integer("eos_token_id", default: 49407, atLeast: 0)
    padToken = try file.integer("pad_token_id", default: 1, atLeast: 0)
    try file.refuseOthers(
      than: CLIPTowerConfig.settings + [
        "vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id", "pad_token_id",
      ], harmless: CLIPTowerConfig.transformersKeys)
  }

  /// The configuration as transformers writes it.
  public var json: JSON { .object(keys) }

  var keys: [String: JSON] {
    tower.json.merging(
      [
        "architectures": .array([.string("CLIPTextModel")]),
        "model_type": .string("clip_text_model"),
        "vocab_size": .integer(vocabularySize),
        "max_position_embeddings": .integer(maxPositions),
        "bos_token_id": .integer(beginToken),
        "eos_token_id": .integer(endToken),
        "pad_token_id": .integer(padToken),
      ], uniquingKeysWith: { $1 })
  }
}
