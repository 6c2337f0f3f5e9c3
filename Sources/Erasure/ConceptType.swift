public import Configuration

/// What kind of thing a concept is, where a technique treats kinds differently; most treat an attribute as an object.
public enum ConceptType: String, CaseIterable, ConfigurationValue {
  case object, style, attribute
}
