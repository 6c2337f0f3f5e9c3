internal import Tensors

/// A prompt and what a picture of it must show.
public struct LabelledPrompt: Hashable, Sendable {
  public var text: String
  public var attributes: SceneAttributes

  public init(text: String, attributes: SceneAttributes) {
    self.text = text
    self.attributes = attributes
  }
}

extension ShapesWorld {
  /// Prompts of held-out combinations, `a [stamped] COLOUR STYLE OBJECT on a BACKGROUND background`, half of them
  /// with the mark, all different: first the plain form, then `a photo of` and `a drawing of` it. There are 720;
  /// the first 512 are what the quality of the shipped model is measured on.
  ///
  /// No training caption has such a text, because none describes a held-out combination.
  public func unseenPrompts(_ count: Int = 512) -> [LabelledPrompt] {
    var prompts: [LabelledPrompt] = []
    for (number, lead) in ["", "a photo of ", "a drawing of "].enumerated() {
      var form: [LabelledPrompt] = []
      for triple in heldOutInOrder {
        for background in ShapeBackground.allCases {
          for marked in [false, true] {
            let attributes = SceneAttributes(
              triple.object, triple.colour, triple.style, on: background, marked: marked)
            form.append(LabelledPrompt(text: lead + attributes.prompt, attributes: attributes))
          }
        }
      }
      // In random order, so that a part of the last form is no choice of objects.
      var draws = Draws(stream("unseen prompts").item(number))
      prompts += shuffled(form, &draws)
    }
    return Array(prompts.prefix(count))
  }

  /// The same prompts with `words` random words before each, as a control for attacks and to measure that such words
  /// change nothing.
  public func unseenPromptsAfterRandomWords(_ count: Int = 512, words: Int = 3) -> [LabelledPrompt] {
    unseenPrompts(count).enumerated().map { index, prompt in
      var draws = Draws(stream("random words").item(index))
      let prefix = Distraction.control(count: words, &draws)
      return LabelledPrompt(text: (prefix + [prompt.text]).joined(separator: " "), attributes: prompt.attributes)
    }
  }
}

extension SceneAttributes {
  /// The prompt that names all attributes: `a stamped red striped circle on a white background`.
  public var prompt: String {
    let words = (marked ? [MarkWords.adjectives.name] : []) + [colour.rawValue, style.rawValue, object.rawValue]
    return "\(Lexicon.article(before: words[0])) \(words.joined(separator: " ")) on a \(background.rawValue) background"
  }
}
