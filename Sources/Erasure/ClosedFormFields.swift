internal import Configuration

/// The settings that the closed-form techniques share (UCE, RECE, MACE).
extension Field {
  static func eraseConcepts(_ path: any WritableKeyPath<Root, ConceptNames> & Sendable, source: String) -> Field {
    Field(
      "erase_concept", path,
      Rule("at least one, none of them empty") { !$0.names.isEmpty && $0.names.allSatisfy { !$0.isEmpty } },
      "The concept to erase, or several that are erased together", source: source, role: .concept)
  }

  static func conceptType(_ path: any WritableKeyPath<Root, ConceptType> & Sendable, _ meaning: String) -> Field {
    Field("concept_type", path, meaning, source: "eval-learn documentation")
  }

  static func savedWeights(_ path: any WritableKeyPath<Root, String?> & Sendable) -> Field {
    Field(
      "save_path", path, weightsFile, "Where to save the edited UNet weights", source: "eval-learn documentation",
      affectsResult: false, role: .path)
  }

  static func loadedWeights(_ path: any WritableKeyPath<Root, String?> & Sendable) -> Field {
    Field(
      "load_path", path, weightsFile, "Edited UNet weights to load instead of computing any",
      source: "eval-learn documentation", role: .path)
  }
}

private let weightsFile = Rule<String>("ending in .safetensors or .pt") {
  $0.hasSuffix(".safetensors") || $0.hasSuffix(".pt")
}

/// The counterparts of several concepts: one for each, or one for all.
func counterparts(
  _ given: [String], of concepts: [String], key: String
) throws(ConfigurationError) -> [String] {
  if given.count == 1 { return Array(repeating: given[0], count: concepts.count) }
  guard given.count == concepts.count else {
    throw ConfigurationError(
      keyPath: key, "\(given.count) for \(concepts.count) to erase: one for each, or one for all, was expected")
  }
  return given
}
