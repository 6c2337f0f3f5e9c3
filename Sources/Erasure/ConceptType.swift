public import Configuration

/// What kind of thing a concept is, where a technique treats kinds differently.
public enum ConceptType: String, CaseIterable, ConfigurationValue {
  case object, style, attribute
}
