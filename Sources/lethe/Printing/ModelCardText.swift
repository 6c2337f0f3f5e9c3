import Configuration
import Diffusion

/// A base model's card as `lethe describe` prints it.
enum ModelCardText {
  static func text(_ card: ModelCard, folder: String) -> String {
    var columns = Columns()
    columns.add("folder", folder)
    columns.add(
      "sampler", "\(card.sampler.steps) steps, guidance scale \(card.sampler.guidanceScale.json.canonical())")
    for kind in kinds(of: card) {
      columns.add(kind, card.concepts.filter { $0.kind == kind }.map(\.name).joined(separator: ", "))
    }
    let sets = card.promptSets.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value.count))" }
    columns.add("prompt sets", sets.joined(separator: ", "))
    columns.add(
      "judges", card.judges.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value))" }.joined(separator: ", "))
    if let autoencoders = card.sparseAutoencoders {
      let files = autoencoders.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value))" }
      columns.add("sparse autoencoders", files.joined(separator: ", "))
    }
    columns.add("vocabulary", card.vocabulary.isEmpty ? "any word" : card.vocabulary.joined(separator: " "))
    return "\(Style.bold(card.name)), a base model\n\(card.description)\n\n" + columns.text()
  }

  static func json(_ card: ModelCard) -> JSON {
    [
      "name": .string(card.name), "kind": "base model", "description": .string(card.description),
      "sampler": [
        "num_inference_steps": .integer(card.sampler.steps), "guidance_scale": .number(card.sampler.guidanceScale),
      ],
      "concepts": .array(
        card.concepts.map { concept in
          [
            "name": .string(concept.name), "kind": .string(concept.kind),
            "synonyms": .array(concept.synonyms.map(JSON.string)), "prompts": .integer(concept.prompts.count),
          ]
        }),
      "prompt_sets": .object(card.promptSets.mapValues { .integer($0.count) }),
      "judges": .object(card.judges.mapValues(JSON.string)),
      "sparse_autoencoders": .object((card.sparseAutoencoders ?? [:]).mapValues(JSON.string)),
      "vocabulary": .array(card.vocabulary.map(JSON.string)),
    ]
  }

  private static func kinds(of card: ModelCard) -> [String] {
    var kinds: [String] = []
    for concept in card.concepts where !kinds.contains(concept.kind) { kinds.append(concept.kind) }
    return kinds
  }
}
