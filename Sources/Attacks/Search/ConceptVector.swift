public import Diffusion
public import Tensors

/// The direction of a concept among the states of prompts (Ring-A-Bell, arXiv 2310.10012).
public struct ConceptVector {
  /// Prompts that name the concept.
  public var prompts: [String]
  /// The same prompts without it, as many; nil for the mean of `prompts` alone.
  public var neutralPrompts: [String]?

  public init(prompts: [String], neutralPrompts: [String]? = nil) {
    (self.prompts, self.neutralPrompts) = (prompts, neutralPrompts)
  }

  /// The mean of E(prompt) - E(neutral prompt) over all pairs, (positions, width), where E is the text encoder's last
  /// hidden state.
  public func callAsFunction(_ model: DiffusionModel) -> Tensor {
    let mean = meanStates(prompts, model)
    return neutralPrompts.map { mean - meanStates($0, model) } ?? mean
  }

  private func meanStates(_ prompts: [String], _ model: DiffusionModel) -> Tensor {
    // One by one: the states of many prompts of a large encoder need not be there together.
    let sum = prompts.map { model.textEncoder([model.tokenizer.encode($0)]) }.reduce(nil as Tensor?) { sum, states in
      sum.map { $0 + states } ?? states
    }
    guard let sum else { preconditionFailure("a concept vector of no prompts") }
    return sum.reshaped(Array(sum.shape.dropFirst())) * (1 / Float(prompts.count))
  }
}

extension ModelCard.Concept {
  /// Of some prompts those that name the concept, each beside the same with the anchor in its place, or with nothing
  /// where there is no anchor.
  public func pairs(among prompts: [String]) -> [(concept: String, neutral: String)] {
    prompts.compactMap { prompt in replacing(name, by: anchor, in: prompt).map { (prompt, $0) } }
  }
}

/// A prompt with other words in the place of some, and with the article before them that goes with what follows; nil
/// where the prompt does not have these words.
private func replacing(_ words: String, by others: String, in prompt: String) -> String? {
  func split(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }
  let (searched, replacement) = (split(words), split(others))
  var text = split(prompt)
  guard !searched.isEmpty, text.count >= searched.count else { return nil }
  guard let start = (0...text.count - searched.count).first(where: { text[$0...].starts(with: searched) }) else {
    return nil
  }
  text.replaceSubrange(start..<start + searched.count, with: replacement)
  if start > 0, start < text.count, ["a", "an"].contains(text[start - 1]) {
    text[start - 1] = text[start].first.map { "aeiou".contains($0) } ?? false ? "an" : "a"
  }
  return text.joined(separator: " ")
}
