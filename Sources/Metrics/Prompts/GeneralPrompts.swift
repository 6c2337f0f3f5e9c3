internal import Configuration
internal import Diffusion

extension MetricContext {
  /// The card's general prompts, what a model is asked to draw where no concept in particular is in question.
  ///
  /// - Parameters:
  ///   - metric: the metric that asks
  ///   - concepts: prompts that name one of these are left out
  /// - Throws: ``MetricError`` where the base model declares none, or none is left.
  func generalPrompts(for metric: String, without concepts: [String] = []) throws -> [String] {
    let card = try requireCard(for: metric)
    guard let prompts = card.promptSets["general"], !prompts.isEmpty else {
      throw MetricError("\(metric): the base model \"\(card.name)\" declares no prompts under prompt_sets.general")
    }
    let left = prompts.filter { prompt in !concepts.contains { prompt.concepts.contains($0) } }
    guard !left.isEmpty else {
      throw MetricError(
        "\(metric): all prompts that the base model \"\(card.name)\" declares under prompt_sets.general name "
          + concepts.map { "\"\($0)\"" }.joined(separator: " or "))
    }
    return left.map(\.text)
  }
}

extension Field {
  /// The concept that a metric of general prompts leaves out. An edit is asked about what it should not have changed:
  /// images of what it erased count for CER.
  ///
  /// - Parameter otherwise: what is left out where it is unset, in words
  static func withoutConcept(
    _ path: any WritableKeyPath<Root, String?> & Sendable, otherwise: String = "none"
  ) -> Field {
    Field(
      "without_concept", path, .notEmpty,
      "A concept whose prompts are left out: the one that is erased, also where the base model is measured; "
        + "\(otherwise) if unset",
      role: .concept)
  }
}

/// What a unit says of prompts that were left out, so that values of different prompts are never taken for alike.
func unit(_ unit: String, without concepts: [String]) -> String {
  let names = concepts.map { "\"\($0)\"" }.joined(separator: " and ")
  return concepts.isEmpty ? unit : "\(unit) over prompts without \(names)"
}
