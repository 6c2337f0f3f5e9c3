internal import Configuration

/// The settings of fine-tuning that techniques share. Each names its own source, for the defaults are the technique's.
extension Field {
  static func trainSteps(_ path: any WritableKeyPath<Root, Int> & Sendable, source: String) -> Field {
    Field("train_steps", path, .atLeast(1), "Fine-tuning steps", source: source)
  }

  static func learningRate(_ path: any WritableKeyPath<Root, Double> & Sendable, source: String) -> Field {
    Field("learning_rate", path, .greaterThan(0), "Learning rate of AdamW", source: source)
  }

  static func trainBatchSize(_ path: any WritableKeyPath<Root, Int> & Sendable, source: String) -> Field {
    Field(
      "train_batch_size", path, .atLeast(1), "Samples of a step, whose mean loss the step follows", source: source)
  }

  static func adamWeightDecay(_ path: any WritableKeyPath<Root, Double> & Sendable, source: String) -> Field {
    Field("adam_weight_decay", path, .atLeast(0), "AdamW's decoupled weight decay", source: source)
  }

  static func adamEpsilon(_ path: any WritableKeyPath<Root, Double> & Sendable, source: String) -> Field {
    Field(
      "adam_epsilon", path, .greaterThan(0), "AdamW's ε: the size of gradients below which steps shrink",
      source: source)
  }

  static func maxGradNorm(_ path: any WritableKeyPath<Root, Double> & Sendable, source: String) -> Field {
    Field(
      "max_grad_norm", path, .greaterThan(0), "The global norm that gradients are scaled down to", source: source)
  }

  static func savePath(_ path: any WritableKeyPath<Root, String?> & Sendable) -> Field {
    Field(
      "save_path", path, weightsFile, "Where to save the edited UNet weights", source: "seed document 000",
      affectsResult: false, role: .path)
  }

  static func loadPath(_ path: any WritableKeyPath<Root, String?> & Sendable) -> Field {
    Field(
      "load_path", path, weightsFile, "Edited UNet weights to load instead of making the edit",
      source: "seed document 000", role: .path)
  }
}

private let weightsFile = Rule<String>("ending in .safetensors or .pt") {
  $0.hasSuffix(".safetensors") || $0.hasSuffix(".pt")
}
