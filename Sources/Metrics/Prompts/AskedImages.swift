public import Configuration
internal import Diffusion

/// Which prompts of a concept a metric draws from.
public enum ConceptPrompts: String, CaseIterable, ConfigurationValue {
  /// Those with its name.
  case name
  /// Those that say it by a synonym.
  case synonyms
  /// Those that lead to it without naming it.
  case implied

  var path: KeyPath<ModelCard.Concept, [ModelCard.Prompt]> {
    switch self {
    case .name: \.prompts
    case .synonyms: \.synonymPrompts
    case .implied: \.impliedPrompts
    }
  }

  /// The key of a concept in the card.
  private var key: String {
    switch self {
    case .name: "prompts"
    case .synonyms: "synonym_prompts"
    case .implied: "implied_prompts"
    }
  }

  /// What values measured on them call them; see ``PromptSet``.
  var setName: String {
    switch self {
    case .name: "prompts of the concept"
    case .synonyms: "synonym prompts"
    case .implied: "implied prompts"
    }
  }

  /// The prompts of a concept.
  ///
  /// - Throws: ``MetricError`` where the card has none, naming the file and the key.
  func prompts(
    of concept: ModelCard.Concept, _ context: MetricContext, for metric: String
  ) throws -> [ModelCard.Prompt] {
    let prompts = concept[keyPath: path]
    guard !prompts.isEmpty else {
      let others = (context.card?.concepts ?? []).filter { !$0[keyPath: path].isEmpty }.map { "\"\($0.name)\"" }
      throw MetricError(
        "\(metric): \(context.modelFolder)/\(ModelCard.fileName) has no \(key) of the concept \"\(concept.name)\""
          + (others.isEmpty || others.count > 8 ? "" : "; it has them of \(others.joined(separator: ", "))"))
    }
    return prompts
  }
}

/// An image to draw, and the concepts that its prompt names.
struct AskedImage {
  let request: ImageRequest
  let concepts: [String]
}

extension MetricContext {
  /// `count` images: the prompts in turn, and then again with other noise.
  func asked(_ count: Int, _ prompts: [ModelCard.Prompt]) -> [AskedImage] {
    guard !prompts.isEmpty else { return [] }
    return zip(requests(count, prompts.map(\.text)), 0..<count).map { request, index in
      AskedImage(request: request, concepts: prompts[index % prompts.count].concepts)
    }
  }

  /// `count` images of sets of prompts in turn, each at its next prompt, so that every count asks for all sets alike.
  func asked(_ count: Int, inTurn sets: [[ModelCard.Prompt]]) -> [AskedImage] {
    let sets = sets.filter { !$0.isEmpty }
    guard !sets.isEmpty else { return [] }
    return (0..<count).map { index in
      let set = sets[index % sets.count]
      let turn = index / sets.count
      let prompt = set[turn % set.count]
      return AskedImage(
        request: ImageRequest(prompt: prompt.text, seed: seed, repetition: turn / set.count), concepts: prompt.concepts)
    }
  }
}

extension Field {
  /// A CSV file of prompts that takes the place of the card's.
  ///
  /// - Parameter exception: ends the sentence that says so
  static func promptsFile(
    _ path: any WritableKeyPath<Root, String?> & Sendable, key: String, but exception: String = "", source: String = ""
  ) -> Field {
    Field(
      key, path, .notEmpty,
      "A CSV file with the column prompt that takes the place of the base model's own prompts of the concept"
        + exception, source: source, role: .path)
  }
}

/// The prompts of a CSV file that the experiment names.
struct PromptFile {
  let table: CSV
  let prompts: [String]
  /// The metric and its setting that names the file, for errors.
  private let place: String

  /// - Parameters:
  ///   - path: as the experiment writes it
  ///   - column: the name of the column with the prompts
  ///   - key: the setting that names the file, for errors
  /// - Throws: ``MetricError`` for a file that is no such table, and for a prompt that is empty or that the text
  ///   encoder would cut.
  init(_ path: String, column: String, _ context: MetricContext, for metric: String, key: String) throws {
    place = "\(metric): \(key): "
    do throws(CSVError) {
      table = try CSV.read(context.resolve(path), limit: mostImages)
      prompts = try table.column(column)
    } catch {
      throw MetricError(place + error.description)
    }
    let tokenizer = try CLIPTokenizer(folder: context.modelFolder + "/tokenizer")
    for (prompt, line) in zip(prompts, table.lines) {
      if prompt.allSatisfy(\.isWhitespace) { throw MetricError(place + "\(table.file):\(line): the prompt is empty") }
      guard tokenizer.isTruncated(prompt) else { continue }
      throw MetricError(
        place + "\(table.file):\(line): the prompt has \(tokenizer.tokens(prompt).count) tokens, and the "
          + "text encoder of \(context.modelFolder) reads \(tokenizer.modelMaxLength - 2)")
    }
  }

  /// The values of another column.
  ///
  /// - Throws: ``MetricError`` where the file has none of that name.
  func column(_ name: String) throws -> [String] {
    do throws(CSVError) {
      return try table.column(name)
    } catch {
      throw MetricError(place + error.description)
    }
  }

  /// What values measured on them call them.
  var set: PromptSet { PromptSet("file", prompts) }
}
