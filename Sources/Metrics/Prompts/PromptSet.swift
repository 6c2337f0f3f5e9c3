internal import Diffusion

/// The prompts from which a metric takes those that it asks for, the same ones whatever is erased.
public struct PromptSet: Equatable, Sendable {
  /// What they are, in a few words: `general`.
  public var name: String
  /// All of them, in their order.
  public var texts: [String]

  public init(_ name: String, _ texts: [String]) {
    self.name = name
    self.texts = texts
  }
}

extension MetricContext {
  /// The set that ``generalPrompts(for:without:)`` takes its prompts from.
  ///
  /// - Parameter concepts: prompts that name one of these are left out of the set itself
  func generalSet(without concepts: [String] = []) -> PromptSet {
    let prompts = (card?.promptSets["general"] ?? []).filter { prompt in
      !concepts.contains { prompt.concepts.contains($0) }
    }
    let names = concepts.map { "\"\($0)\"" }.joined(separator: " and ")
    return PromptSet(concepts.isEmpty ? "general" : "general without \(names)", prompts.map(\.text))
  }

  /// The prompts that the card has of every concept, of which a metric takes those of the concept in question or those
  /// of all others.
  func conceptSet(_ name: String, _ path: KeyPath<ModelCard.Concept, [ModelCard.Prompt]>) -> PromptSet {
    PromptSet(name, (card?.concepts ?? []).flatMap { $0[keyPath: path].map(\.text) })
  }
}
