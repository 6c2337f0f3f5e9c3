public import Configuration

/// Both towers of a ``CLIPModel``.
public struct CLIPConfig: Sendable, Equatable {
  public var text: CLIPTextConfig
  public var vision: CLIPVisionConfig
  /// The logarithm of the inverse temperature at the start of training.
  public var initialLogitScale = 2.6592

  public init(text: CLIPTextConfig, vision: CLIPVisionConfig) {
    self.text = text
    self.vision = vision
  }

  /// Reads a transformers configuration of model type `clip`.
  ///
  /// - Throws: ``ModelFolderError`` for a value of another type, or a setting that Lethe does not support.
  public init(_ file: ConfigurationFile) throws {
    try Self.refuseOtherValues(of: "text_config", in: file)
    try Self.refuseOtherValues(of: "vision_config", in: file)
    text = try CLIPTextConfig(file.section("text_config"))
    vision = try CLIPVisionConfig(file.section("vision_config"))
    // The projections of a joint model have the width that stands outside the towers.
    let size = try file.integer("projection_dim", default: 512)
    text.tower.projectionSize = size
    vision.tower.projectionSize = size
    initialLogitScale = try file.number("logit_scale_init_value", default: 2.6592)
    try file.refuseOthers(
      than: ["text_config", "vision_config", "projection_dim", "logit_scale_init_value", "initializer_factor"],
      harmless: CLIPTowerConfig.transformersKeys + ["text_config_dict", "vision_config_dict"])
  }

  /// Old folders hold each tower twice: what `text_config_dict` says wins over `text_config` in transformers. Here the
  /// latter is read, so the two have to agree.
  private static func refuseOtherValues(of key: String, in file: ConfigurationFile) throws {
    guard file.has(key + "_dict") else { return }
    let (read, winning) = (try file.section(key), try file.section(key + "_dict"))
    for member in winning.keys where winning.value(member) != read.value(member) {
      throw winning.error(member, "another value than in `\(key)` is not supported")
    }
  }

  /// The configuration as transformers writes it.
  public var json: JSON {
    .object([
      "architectures": .array([.string("CLIPModel")]),
      "model_type": .string("clip"),
      "text_config": .object(text.keys),
      "vision_config": .object(vision.keys),
      "projection_dim": .integer(text.tower.projectionSize),
      "logit_scale_init_value": .number(initialLogitScale),
      "torch_dtype": .string("float32"),
    ])
  }
}
