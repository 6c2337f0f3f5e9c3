public import Configuration

/// What a base model says about itself, as far as an experiment depends on it.
public struct BaseDeclaration: Sendable {
  /// What the config hash calls the model: the same wherever its folder lies. The experiment's own spelling if `nil`.
  public var identity: String?
  /// The concepts that can be erased from it; empty if it declares none, and then any concept is accepted.
  public var concepts: [String]
  /// Its own values for settings that an experiment leaves out, by key: `num_inference_steps`, `guidance_scale`.
  public var defaults: [String: JSON]
  /// Every word its training has shown it, in lower case; `nil` if unknown.
  public var words: Set<String>?

  public init(
    identity: String? = nil, concepts: [String] = [], defaults: [String: JSON] = [:], words: Set<String>? = nil
  ) {
    self.identity = identity
    self.concepts = concepts
    self.defaults = defaults
    self.words = words
  }

  /// The words of a prompt that training never showed, in the order of the prompt, each once.
  public func unknownWords(in prompt: String) -> [String] {
    guard let words else { return [] }
    var unknown: [String] = []
    for word in prompt.lowercased().split(whereSeparator: { !$0.isLetter && !$0.isNumber }).map(String.init)
    where !words.contains(word) && !unknown.contains(word) {
      unknown.append(word)
    }
    return unknown
  }
}
