/// What a model folder says about itself in `lethe.json`, beside `model_index.json`: sampler defaults, the concepts
/// that it knows with their prompts and judges, and the words it was trained on. Any diffusers folder may have one;
/// `docs/model-card.md` is its description.
public struct ModelCard: Codable, Equatable, Sendable {
  /// The version of the format that this code reads and writes.
  public static let format = 1
  /// The name of the file in the model's folder.
  public static let fileName = "lethe.json"

  public var format: Int
  public var name: String
  public var description: String
  public var sampler: Sampler
  /// Networks that judge pictures, by name: folders relative to the model's.
  public var judges: [String: String]
  /// Sparse autoencoders of the outputs of transformers, by layer as diffusers names it: files relative to the model's
  /// folder, which `lethe train sae` writes. Nil for a model that has none.
  public var sparseAutoencoders: [String: String]?
  public var concepts: [Concept]
  /// Prompts that name no concept: what a concept is replaced with, and what is to be left alone.
  public var neutralPrompts: [String]
  /// Prompt sets that belong to no single concept, by name; `general` is what picture quality is measured on.
  public var promptSets: [String: [Prompt]]
  /// The words of the training captions. A prompt with other words is accepted with a warning; what stands for a
  /// concept, or takes its place, is refused.
  public var vocabulary: [String]

  public init(
    name: String, description: String, sampler: Sampler, judges: [String: String] = [:],
    sparseAutoencoders: [String: String]? = nil, concepts: [Concept] = [], neutralPrompts: [String] = [],
    promptSets: [String: [Prompt]] = [:], vocabulary: [String] = []
  ) {
    format = Self.format
    self.name = name
    self.description = description
    self.sampler = sampler
    self.judges = judges
    self.sparseAutoencoders = sparseAutoencoders
    self.concepts = concepts
    self.neutralPrompts = neutralPrompts
    self.promptSets = promptSets
    self.vocabulary = vocabulary
  }

  /// How pictures are drawn where an experiment does not say.
  public struct Sampler: Codable, Equatable, Sendable {
    /// Steps of the sampler.
    public var steps: Int
    /// The scale of classifier-free guidance.
    public var guidanceScale: Double

    public init(steps: Int, guidanceScale: Double) {
      self.steps = steps
      self.guidanceScale = guidanceScale
    }

    enum CodingKeys: String, CodingKey, CaseIterable {
      case steps
      case guidanceScale = "guidance_scale"
    }
  }

  /// The class of a judge network that stands for a concept.
  public struct JudgeClass: Codable, Hashable, Sendable {
    /// A key of ``ModelCard/judges``.
    public var judge: String
    /// The head of the network, for example `object`.
    public var head: String
    /// The index of the class under that head.
    public var classIndex: Int

    public init(judge: String, head: String, classIndex: Int) {
      self.judge = judge
      self.head = head
      self.classIndex = classIndex
    }

    enum CodingKeys: String, CodingKey, CaseIterable {
      case judge, head
      case classIndex = "class"
    }
  }

  /// A prompt and the concepts that it names.
  public struct Prompt: Codable, Hashable, Sendable {
    public var text: String
    /// Names of concepts of the card, so that prompts which name an erased concept can be told from the others.
    public var concepts: [String]

    public init(_ text: String, concepts: [String]) {
      self.text = text
      self.concepts = concepts
    }

    enum CodingKeys: String, CodingKey, CaseIterable { case text, concepts }
  }

  /// Something that can be erased, or must be kept when something else is.
  public struct Concept: Codable, Equatable, Sendable {
    public var name: String
    /// What it is a kind of (`object`, `colour`, `style`, `mark`); concepts of one kind exclude one another.
    public var kind: String
    public var judge: JudgeClass
    public var synonyms: [String]
    /// Something more general to put in its place, for techniques that want an anchor.
    public var anchor: String
    /// Prompts with its name among other attributes: what erasure is measured on.
    public var prompts: [Prompt]
    /// Prompts with its name and nothing else: what techniques erase by.
    public var conceptPrompts: [String]
    /// Prompts that say it by a synonym.
    public var synonymPrompts: [Prompt]
    /// Prompts that lead to it without naming it; empty for most.
    public var impliedPrompts: [Prompt]

    public init(
      name: String, kind: String, judge: JudgeClass, synonyms: [String] = [], anchor: String = "",
      prompts: [Prompt] = [], conceptPrompts: [String] = [], synonymPrompts: [Prompt] = [],
      impliedPrompts: [Prompt] = []
    ) {
      self.name = name
      self.kind = kind
      self.judge = judge
      self.synonyms = synonyms
      self.anchor = anchor
      self.prompts = prompts
      self.conceptPrompts = conceptPrompts
      self.synonymPrompts = synonymPrompts
      self.impliedPrompts = impliedPrompts
    }

    enum CodingKeys: String, CodingKey, CaseIterable {
      case name, kind, judge, synonyms, anchor, prompts
      case conceptPrompts = "concept_prompts"
      case synonymPrompts = "synonym_prompts"
      case impliedPrompts = "implied_prompts"
    }
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case format, name, description, sampler, judges, concepts, vocabulary
    case sparseAutoencoders = "sparse_autoencoders"
    case neutralPrompts = "neutral_prompts"
    case promptSets = "prompt_sets"
  }

  /// The concept of this name, if the card declares it.
  public func concept(_ name: String) -> Concept? { concepts.first { $0.name == name } }

  /// All concepts but these, in the card's order: what erasing them must leave as it was.
  public func concepts(otherThan erased: [String]) -> [Concept] { concepts.filter { !erased.contains($0.name) } }

  /// The prompts of `concept` that name none of `erased`.
  public func prompts(of concept: Concept, without erased: [String]) -> [Prompt] {
    concept.prompts.filter { prompt in !prompt.concepts.contains(where: erased.contains) }
  }

  /// The words of `prompt` that no training caption had, in lower case, each once. Empty for a card without words.
  public func unknownWords(in prompt: String) -> [String] {
    guard !vocabulary.isEmpty else { return [] }
    let known = Set(vocabulary)
    var unknown: [String] = []
    for word in prompt.lowercased().split(whereSeparator: { !$0.isLetter && !$0.isNumber }).map(String.init)
    where !known.contains(word) && !unknown.contains(word) { unknown.append(word) }
    return unknown
  }
}
