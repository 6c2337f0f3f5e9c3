internal import Configuration

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

  init(_ file: ConfigurationFile, defaults: CLIPTowerConfig) throws {
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
  var json: [String: JSON] {
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

  static let settings = [
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps",
    "projection_dim", "attention_dropout", "dropout", "initializer_factor", "initializer_range",
  ]

  /// Keys that transformers writes into every configuration and that do not change what a CLIP tower computes: where it
  /// came from, the type of its stored weights, and settings of text generation and of task heads.
  static let transformersKeys = [
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
}
