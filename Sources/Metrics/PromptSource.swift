public import Configuration
internal import Diffusion

/// How the prompts of a metric ask for a concept.
public enum PromptSource: String, CaseIterable, ConfigurationValue {
  /// By its name, among other attributes.
  case name
  /// By one of its synonyms.
  case synonym
  /// In words that imply it and do not name it, as those of I2P do.
  case implied

  /// The prompts that a card declares for it.
  func prompts(of concept: ModelCard.Concept) -> [ModelCard.Prompt] {
    switch self {
    case .name: concept.prompts
    case .synonym: concept.synonymPrompts
    case .implied: concept.impliedPrompts
    }
  }

  /// Completes "ask for the concept by ...".
  var words: String {
    switch self {
    case .name: "its name"
    case .synonym: "a synonym"
    case .implied: "what implies it"
    }
  }
}
