public import Configuration
public import Diffusion
internal import Tensors

/// Unified Concept Editing (Gandikota et al., WACV 2024, arXiv 2308.14761): every key and value matrix of
/// cross-attention is solved anew so that the concept's tokens give what those of a guide concept gave, and the tokens
/// that are preserved what they always gave (equation 7; see ``ClosedFormEdit``).
public struct UCEConfiguration: Configuration {
  /// Which of the two public scripts is followed; they read other tokens of a prompt.
  public enum Version: String, CaseIterable, ConfigurationValue {
    /// The concept from its last token to the end of the padding, aligned with the guide; preserved prompts with all
    /// positions, the empty one always among them.
    case y2023 = "2023"
    /// The last token of each.
    case y2025 = "2025"
  }

  /// What the concept's tokens give after the edit.
  public enum Target: String, CaseIterable, ConfigurationValue {
    /// What the guide's gave.
    case replace
    /// The same without its component along what the concept's gave.
    case tensor
  }

  public var eraseConcept: ConceptNames = "nudity"
  public var conceptType = ConceptType.object
  public var erasePrompts: [String]?
  public var guideConcepts: [String]?
  public var preserveConcepts: [String]?
  public var expandPrompts = false
  public var version = Version.y2023
  public var target = Target.replace
  public var eraseScale = 1.0
  public var preserveScale: Double?
  public var lamb = 0.5
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<UCEConfiguration>] = [
    .eraseConcepts(\.eraseConcept, source: "eval-learn documentation"),
    .conceptType(\.conceptType, "What the concept is: decides the default guide and the expanded prompts"),
    Field(
      "erase_prompts", \.erasePrompts, .notEmpty,
      "The phrases whose last token is edited; [erase_concept] if unset", source: "own", role: .phrase),
    Field(
      "guide_concepts", \.guideConcepts, .notEmpty,
      "What takes the concept's place, one for each phrase or one for all; \"art\" for a style, else \"\" if unset",
      source: "script trainscripts/uce_sd_erase.py", role: .phrase),
    Field(
      "preserve_concepts", \.preserveConcepts, .notEmpty,
      "Concepts and prompts whose keys and values stay; none but \"\" (2023) or none at all (2025) if unset",
      source: "script trainscripts/uce_sd_erase.py", role: .prompt),
    Field(
      "expand_prompts", \.expandPrompts,
      "Also edit five phrases around each one: image, photo, portrait, picture and painting of it, or for a style "
        + "painting, art, artwork and picture by it and style of it",
      source: "script trainscripts/uce_sd_erase.py"),
    Field(
      "version", \.version,
      "The tokens that are read: from the last token of the concept to the end (2023), or the last token (2025)",
      source: "the public scripts"),
    Field(
      "technique", \.target,
      "Keys and values of the guide (replace), or these without their part along the old ones (tensor)",
      source: "script train-scripts/train_erase.py"),
    Field("erase_scale", \.eraseScale, .greaterThan(0), "Weight of each erased token", source: "the public scripts"),
    Field(
      "preserve_scale", \.preserveScale, .atLeast(0),
      "Weight of each preserved token; max(0.1, 1 / number of preserved prompts) (2023) or 1 (2025) if unset",
      source: "the public scripts"),
    Field(
      "lamb", \.lamb, .greaterThan(0), "Weight of staying with the old matrices (lambda)",
      source: "the public scripts"),
    .savePath(\.savePath).sourced("eval-learn documentation"),
    .loadPath(\.loadPath).sourced("eval-learn documentation"),
  ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public func validate() throws(ConfigurationError) {
    _ = try counterparts(guides, of: phrases, key: "guide_concepts")
  }

  public var inForce: [String: JSON] { ["guide_concepts": guides.json] }

  public var warnings: [String] {
    guard loadPath == nil, preserveConcepts == nil else { return [] }
    return [
      "preserve_concepts is not set: what is near the concept changes with it; naming its neighbours protects them"
    ]
  }

  /// The phrases to edit before they are expanded.
  private var phrases: [String] { erasePrompts ?? eraseConcept.names }

  private var guides: [String] { guideConcepts ?? [conceptType == .style ? "art" : ""] }

  /// Phrases to edit and what takes their place, one for each.
  var edits: [(phrase: String, guide: String)] {
    get throws {
      let pairs = zip(phrases, try counterparts(guides, of: phrases, key: "guide_concepts"))
      return pairs.flatMap { phrase, guide in
        ([phrase] + (expandPrompts ? expansions(of: phrase) : [])).map { ($0, guide) }
      }
    }
  }

  private func expansions(of phrase: String) -> [String] {
    conceptType == .style
      ? ["painting by", "art by", "artwork by", "picture by", "style of"].map { "\($0) \(phrase)" }
      : ["image", "photo", "portrait", "picture", "painting"].map { "\($0) of \(phrase)" }
  }

  /// The prompts whose keys and values stay.
  var preserved: [String] {
    let named = preserveConcepts ?? []
    return version == .y2023 && !named.contains("") ? named + [""] : named
  }

  var effectivePreserveScale: Double {
    preserveScale ?? (version == .y2023 ? max(0.1, 1 / Double(preserved.count)) : 1)
  }
}

extension UCEConfiguration: Technique {
  public static let name = "uce"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .weights, "Unified Concept Editing",
    paper: "Gandikota et al., WACV 2024, arXiv 2308.14761",
    cost: "none: one linear system for each key and value matrix")

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let weights = context.model.unetWeights
    let edited = try editedMatrices(context.model)
    return ModelEdit(
      replacedUNetTensors: edited, details: .object(ClosedFormEdit.details(of: edited, from: weights)))
  }

  /// The edited key and value matrices by name.
  func editedMatrices(_ model: DiffusionModel) throws -> [String: Tensor] {
    let erased = try edits.map { edit -> (old: Matrix, new: Matrix) in
      let (phrase, guide) = (EncodedPrompt(edit.phrase, model), EncodedPrompt(edit.guide, model))
      switch version {
      case .y2023: return phrase.alignedFromLast(with: guide)
      case .y2025: return (phrase.lastState, guide.lastState)
      }
    }
    let kept = Matrix(
      stacking: preserved.map { text in
        let prompt = EncodedPrompt(text, model)
        return version == .y2023 ? prompt.states : prompt.lastState
      }, columns: model.unet.config.crossAttentionSize)
    return try ClosedFormEdit.ofCrossAttention(model.unetWeights, lambda: lamb) { _, edit in
      for (old, new) in erased { edit.map(old, to: target.outputs(old, new, edit), scale: eraseScale) }
      edit.keep(kept, scale: effectivePreserveScale)
    }
  }
}

extension UCEConfiguration.Target {
  /// What the tokens `old` are to give, where the tokens `new` take their place: (tokens, outputs).
  func outputs(_ old: Matrix, _ new: Matrix, _ edit: ClosedFormEdit) -> Matrix {
    let (before, after) = (edit.output(of: old), edit.output(of: new))
    switch self {
    case .replace: return after
    case .tensor:
      // All tokens of a concept are one direction together, as in the script.
      let share = zip(before.values, after.values).reduce(0) { $0 + $1.0 * $1.1 }
      let square = before.norm * before.norm
      return square > 0 ? after - before * (share / square) : after
    }
  }
}

extension EncodedPrompt {
  /// The state of the last token of the text, (1, width).
  fileprivate var lastState: Matrix { states.selectingRows([lastPosition]) }
}
