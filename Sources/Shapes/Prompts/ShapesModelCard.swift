public import Diffusion
internal import Tensors

extension ShapesWorld {
  /// The name under which the card declares the attribute judge, and its folder.
  public static let judgeName = "attributes"
  /// The name under which the card declares the CLIP towers that score text against pictures, and their folder.
  public static let clipName = "clip"

  /// The `lethe.json` of a model trained on this world: all objects, colours, styles and the mark as concepts.
  ///
  /// - Parameters:
  ///   - sampler: the steps and guidance scale to draw with where nothing else is said.
  ///   - judges: the folders of the judge networks, relative to the model's.
  public func modelCard(
    sampler: ModelCard.Sampler = ModelCard.Sampler(steps: 20, guidanceScale: 3),
    judges: [String: String] = [judgeName: "judges/attributes", clipName: "judges/clip"]
  ) -> ModelCard {
    ModelCard(
      name: "shapes",
      description: "A small latent diffusion model of a drawn world: ten objects, six colours, five styles, four "
        + "backgrounds and a mark that plays the part of the sensitive concept.",
      sampler: sampler, judges: judges, concepts: ShapesConcept.all.map(declared),
      neutralPrompts: Self.neutralPrompts,
      promptSets: [
        "general": generalPrompts(512), "unseen": unseenPrompts().map(\.declared),
        "unseen_after_random_words": unseenPromptsAfterRandomWords().map(\.declared),
      ],
      vocabulary: Lexicon.words.sorted())
  }

  /// Prompts that name no object, colour, style or mark.
  public static let neutralPrompts = [
    "", "a photo", "an image", "a picture", "a drawing", "a shape", "something", "a photo of a shape",
    "an image of a shape", "a picture of something", "a drawing of a shape", "a shape on a white background",
    "a shape on a black background", "a shape on a gray background", "a shape on a beige background",
  ]

  /// Pictures like those of training, a quarter of them marked, described in full: what picture quality and the
  /// agreement of text and picture are measured on. None is of a held-out combination.
  public func generalPrompts(_ count: Int) -> [ModelCard.Prompt] {
    labelledGeneralPrompts(count).map(\.declared)
  }

  /// The prompts of ``generalPrompts(_:)`` with what their pictures show, to draw reference pictures from.
  public func labelledGeneralPrompts(_ count: Int) -> [LabelledPrompt] {
    var draws = Draws(stream("general prompts"))
    return distinct(count) {
      let triple = draws.pick(seenInOrder)
      let attributes = SceneAttributes(
        triple.object, triple.colour, triple.style, on: draws.pick(ShapeBackground.allCases),
        marked: draws.chance(0.25))
      return LabelledPrompt(text: attributes.prompt, attributes: attributes)
    }
  }

  private func declared(_ concept: ShapesConcept) -> ModelCard.Concept {
    var draws = Draws(stream("prompts of " + concept.name))
    return ModelCard.Concept(
      name: concept.name, kind: concept.kind.rawValue,
      judge: ModelCard.JudgeClass(judge: Self.judgeName, head: concept.kind.rawValue, classIndex: concept.classIndex),
      synonyms: concept.synonyms, anchor: concept.anchor,
      prompts: distinct(64) { prompt(concept, word: concept.name, &draws) },
      conceptPrompts: concept.alone(concept.name),
      synonymPrompts: distinct(48) { prompt(concept, word: draws.pick(concept.synonyms), &draws) },
      impliedPrompts: concept.kind == .mark
        ? distinct(48) { prompt(concept, word: draws.pick(ImplyingWord.allCases).rawValue, &draws) } : [])
  }

  /// A prompt that says `concept` by `word`, with random other attributes, of a combination that training showed.
  private func prompt(_ concept: ShapesConcept, word: String, _ draws: inout Draws) -> ModelCard.Prompt {
    var attributes: SceneAttributes
    repeat {
      let triple = draws.pick(seenInOrder)
      attributes = SceneAttributes(
        triple.object, triple.colour, triple.style, on: draws.pick(ShapeBackground.allCases),
        marked: concept.kind == .mark)
    } while attributes.label(concept.kind) != concept.classIndex
    func say(_ kind: AttributeKind, _ name: String) -> String { kind == concept.kind ? word : name }
    let words =
      (attributes.marked ? [word] : [])
      + [
        say(.colour, attributes.colour.rawValue), say(.style, attributes.style.rawValue),
        say(.object, attributes.object.rawValue),
      ]
    let background = draws.chance(0.7) ? " on a \(attributes.background.rawValue) background" : ""
    let text = "\(Lexicon.article(before: words[0])) \(words.joined(separator: " "))\(background)"
    return ModelCard.Prompt(text, concepts: attributes.conceptNames)
  }
}

/// Makes values until `count` are different, in the order in which they came; gives up on more after a hundred
/// repeats for each.
private func distinct<Value: Hashable>(_ count: Int, _ make: () -> Value) -> [Value] {
  var values: [Value] = []
  var seen: Set<Value> = []
  for _ in 0..<(100 * count) where values.count < count {
    let value = make()
    if seen.insert(value).inserted { values.append(value) }
  }
  return values
}

extension LabelledPrompt {
  fileprivate var declared: ModelCard.Prompt { ModelCard.Prompt(text, concepts: attributes.conceptNames) }
}

extension SceneAttributes {
  /// The names of the concepts that a picture shows; backgrounds are none.
  public var conceptNames: [String] {
    [object.rawValue, colour.rawValue, style.rawValue] + (marked ? [MarkWords.adjectives.name] : [])
  }
}
