public import Configuration

/// What the text and the vision tower of CLIP have in common (Radford et al., 2021).
public struct CLIPTowerConfig: Sendable, Equatable {
  public var hiddenSize: Int
  public var intermediateSize: Int
  public var layers: Int
  public var heads: Int
  public var activation = Activation.quickGELU
  public var normEpsilon = 1e-5
  /// Width of the space that texts and images share.
  public var projectionSize: Int

  public init(hiddenSize: Int, intermediateSize: Int, layers: Int, heads: Int, projectionSize: Int) {
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.layers = layers
    self.heads = heads
    self.projectionSize = projectionSize
  }

  fileprivate init(_ file: ConfigurationFile, defaults: CLIPTowerConfig) throws {
    hiddenSize = try file.integer("hidden_size", default: defaults.hiddenSize)
    intermediateSize = try file.integer("intermediate_size", default: defaults.intermediateSize)
    layers = try file.integer("num_hidden_layers", default: defaults.layers)
    heads = try file.integer("num_attention_heads", default: defaults.heads)
    guard hiddenSize % heads == 0 else {
      throw file.error("num_attention_heads", "a width of \(hiddenSize) cannot be shared by \(heads) heads")
    }
    activation = try file.activation("hidden_act", default: .quickGELU)
    normEpsilon = try file.number("layer_norm_eps", default: 1e-5)
    projectionSize = try file.integer("projection_dim", default: defaults.projectionSize)
    // Dropout acts in training alone, and this project trains without.
    try file.require("attention_dropout", .integer(0), absent: .integer(0))
    try file.require("dropout", .integer(0), absent: .integer(0))
  }

  // `initializer_factor` is left to its default: transformers insists on 1.0 there, and this JSON says 1.
  fileprivate var json: [String: JSON] {
    [
      "hidden_size": .integer(hiddenSize),
      "intermediate_size": .integer(intermediateSize),
      "num_hidden_layers": .integer(layers),
      "num_attention_heads": .integer(heads),
      "hidden_act": .string(activation.rawValue),
      "layer_norm_eps": .number(normEpsilon),
      "projection_dim": .integer(projectionSize),
      "attention_dropout": .number(0),
      "torch_dtype": .string("float32"),
    ]
  }

  fileprivate static let settings = [
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps",
    "projection_dim", "attention_dropout", "dropout", "initializer_factor", "initializer_range",
  ]
}

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
      ], harmless: transformersKeys)
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
      than: CLIPTowerConfig.settings + ["image_size", "patch_size", "num_channels"], harmless: transformersKeys)
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
  public init(_ file: ConfigurationFile) throws {
    text = try CLIPTextConfig(file.section("text_config"))
    vision = try CLIPVisionConfig(file.section("vision_config"))
    // The projections of a joint model have the width that stands outside the towers.
    let size = try file.integer("projection_dim", default: 512)
    text.tower.projectionSize = size
    vision.tower.projectionSize = size
    initialLogitScale = try file.number("logit_scale_init_value", default: 2.6592)
    try file.refuseOthers(
      than: ["text_config", "vision_config", "projection_dim", "logit_scale_init_value", "initializer_factor"],
      harmless: transformersKeys + ["text_config_dict", "vision_config_dict"])
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

/// Keys that transformers writes into every configuration and that do not change what a CLIP tower computes: where it
/// came from, the type of its stored weights, and settings of text generation and of task heads.
private let transformersKeys = [
  "architectures", "model_type", "torch_dtype", "dtype", "transformers_version", "bos_token_id", "eos_token_id",
  "pad_token_id", "sep_token_id", "decoder_start_token_id", "add_cross_attention", "bad_words_ids",
  "begin_suppress_tokens", "suppress_tokens", "chunk_size_feed_forward", "cross_attention_hidden_size",
  "diversity_penalty", "do_sample", "early_stopping", "encoder_no_repeat_ngram_size",
  "exponential_decay_length_penalty",
  "finetuning_task", "forced_bos_token_id", "forced_eos_token_id", "id2label", "is_decoder", "is_encoder_decoder",
  "label2id", "length_penalty", "max_length", "min_length", "no_repeat_ngram_size", "num_beam_groups", "num_beams",
  "num_return_sequences", "output_attentions", "output_hidden_states", "output_scores", "prefix", "problem_type",
  "pruned_heads", "remove_invalid_values", "repetition_penalty", "return_dict", "return_dict_in_generate",
  "task_specific_params", "temperature", "tf_legacy_loss", "tie_encoder_decoder", "tie_word_embeddings",
  "tokenizer_class", "top_k", "top_p", "torchscript", "typical_p", "use_bfloat16",
]
