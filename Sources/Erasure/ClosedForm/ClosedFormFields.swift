internal import Configuration

/// The settings that the closed-form techniques share (UCE, RECE, MACE).
extension Field {
  static func eraseConcepts(_ path: any WritableKeyPath<Root, ConceptNames> & Sendable, source: String) -> Field {
    Field(
      "erase_concept", path, .named, "The concept to erase, or several that are erased together", source: source,
      role: .concept)
  }

  static func conceptType(_ path: any WritableKeyPath<Root, ConceptType> & Sendable, _ meaning: String) -> Field {
    Field("concept_type", path, meaning, source: "eval-learn documentation")
  }
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
