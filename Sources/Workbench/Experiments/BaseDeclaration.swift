public import Configuration
public import Diffusion

/// What an experiment depends on of what a base model says about itself.
public struct BaseDeclaration: Sendable {
  /// What the config hash calls the model: the same wherever its folder lies. The experiment's own spelling if `nil`.
  public var identity: String?
  /// The model's `lethe.json`, if its folder has one.
  public var card: ModelCard?
  /// Nil where nobody has looked, and then no prompt is too long.
  public var tokenizer: CLIPTokenizer?

  public init(identity: String? = nil, card: ModelCard? = nil, tokenizer: CLIPTokenizer? = nil) {
    self.identity = identity
    self.card = card
    self.tokenizer = tokenizer
  }

  /// The concepts that can be erased from the model; empty if it declares none, and then any is accepted.
  public var concepts: [String] { card?.concepts.map(\.name) ?? [] }

  /// The model's own values for settings that an experiment leaves out, by key.
  public var defaults: [String: JSON] {
    guard let card else { return [:] }
    var defaults = [
      "num_inference_steps": card.sampler.steps.json, "guidance_scale": card.sampler.guidanceScale.json,
    ]
    // Of several layers none is more meant than the others.
    if let layers = card.sparseAutoencoders?.keys, layers.count == 1 { defaults["hookpoint"] = layers.first.json }
    return defaults
  }

  /// The words that the model was trained on; empty if it does not say.
  public var vocabulary: [String] { card?.vocabulary ?? [] }

  /// The words of prompts that the model never saw in training, each once, in their order.
  public func unknownWords(in prompts: [String]) -> [String] {
    card?.unknownWords(in: prompts.joined(separator: " ")) ?? []
  }
}
