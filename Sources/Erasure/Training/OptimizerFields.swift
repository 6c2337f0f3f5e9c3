internal import Configuration

/// The settings of AdamW that techniques share beside the learning rate.
extension Field {
  static func adamWeightDecay(_ path: any WritableKeyPath<Root, Double> & Sendable, source: String) -> Field {
    Field("adam_weight_decay", path, .atLeast(0), "AdamW's decoupled weight decay", source: source)
  }

  /// - Parameter note: what else there is to say of it
  static func adamEpsilon(
    _ path: any WritableKeyPath<Root, Double> & Sendable, note: String = "", source: String
  ) -> Field {
    Field(
      "adam_epsilon", path, .greaterThan(0), "AdamW's ε: the size of gradients below which steps shrink" + note,
      source: source)
  }

  static func maxGradNorm(_ path: any WritableKeyPath<Root, Double> & Sendable, source: String) -> Field {
    Field(
      "max_grad_norm", path, .greaterThan(0), "The global norm that gradients are scaled down to", source: source)
  }
}
