public import Configuration
public import Diffusion
public import Tensors

/// Reliable and Efficient Concept Erasure (Gong et al., ECCV 2024, arXiv 2407.12383): after a UCE edit, embeddings that
/// still bring the concept back are derived in closed form and edited away in turn, epoch after epoch.
///
/// The number of epochs is fixed here; the publication keeps the epoch that a detector likes best.
public struct RECEConfiguration: Configuration {
  public var eraseConcept: ConceptNames = "nudity"
  public var conceptType = ConceptType.object
  public var guideConcepts: [String]?
  public var preserveConcepts: [String]?
  public var uce: [String: JSON] = [:]
  public var epochs = 3
  public var embComputing = AdversarialEmbedding.Regularization.zero
  public var regItem = AdversarialEmbedding.SurrogateItem.first
  public var regularScale = 0.1
  public var oldTargetConcept: String?
  public var target = UCEConfiguration.Target.replace
  public var eraseScale = 1.0
  public var preserveScale = 0.1
  public var lamb = 0.1
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<RECEConfiguration>] = [
    .eraseConcepts(\.eraseConcept, source: document),
    .conceptType(\.conceptType, "What the concept is: decides the default guide of the UCE edit"),
    Field(
      "guide_concepts", \.guideConcepts, .notEmpty,
      "What takes the place of the concept and of its adversarial embeddings, one for each concept or one for all; "
        + "\"art\" for a style, else \"\" if unset",
      source: script, role: .phrase),
    Field(
      "preserve_concepts", \.preserveConcepts, .notEmpty,
      "Prompts whose keys and values stay in every edit; \"\" alone if unset", source: script, role: .prompt),
    Field(
      "uce", \.uce,
      "Settings of the UCE edit that comes first, beside concepts, guides and preserved prompts, which it shares",
      source: "own; the script reads the edited weights from a file"
    ).holding(UCEConfiguration.self, without: sharedKeys + generationKeys),
    Field(
      "epochs", \.epochs, .atLeast(0), "Rounds of adversarial embedding and edit; 1 for styles, up to 3 for nudity",
      source: document),
    Field(
      "emb_computing", \.embComputing,
      "What holds the adversarial embedding: small values (close_regzero), nearness to old_target_concept "
        + "(close_standardreg), or nearness in keys and values to the concept itself (close_surrogatereg)",
      source: document),
    Field(
      "reg_item", \.regItem,
      "The terms of close_surrogatereg: on keys and values (1st), on the embedding (2nd), or both", source: script),
    Field(
      "regular_scale", \.regularScale, .greaterThan(0),
      "Weight of that regularisation; 0.1 for nudity and easy objects, 0.001 for styles and hard objects",
      source: script),
    Field(
      "old_target_concept", \.oldTargetConcept,
      "What close_standardreg draws towards; each concept's guide if unset", source: script, role: .prompt),
    Field(
      "technique", \.target,
      "Keys and values of the guide (replace), or these without their part along the old ones (tensor)",
      source: script),
    Field("erase_scale", \.eraseScale, .greaterThan(0), "Weight of each adversarial token", source: script),
    Field("preserve_scale", \.preserveScale, .atLeast(0), "Weight of each preserved token", source: script),
    Field("lamb", \.lamb, .greaterThan(0), "Weight of staying with the matrices of the epoch before", source: script),
    .savePath(\.savePath).sourced("eval-learn documentation"),
    .loadPath(\.loadPath).sourced("eval-learn documentation"),
  ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public func validate() throws(ConfigurationError) {
    for key in Self.sharedKeys where uce[key] != nil {
      throw ConfigurationError(keyPath: "uce.\(key)", "is a setting of rece itself and is written beside uce")
    }
    _ = try start
    guard let first = Self.generationKeys.first(where: { uce[$0] != nil }) else { return }
    throw ConfigurationError(keyPath: "uce.\(first)", "decides nothing about the first edit")
  }

  public var inForce: [String: JSON] { ["guide_concepts": guides.json] }

  public var warnings: [String] {
    guard loadPath == nil else { return [] }
    var warnings: [String] = []
    if oldTargetConcept != nil, embComputing != .standard {
      warnings.append("old_target_concept is not used by emb_computing \"\(embComputing.rawValue)\"")
    }
    if preserveConcepts == nil {
      warnings.append("preserve_concepts is not set: each epoch also changes what is near the concept")
    }
    return warnings
  }

  private var guides: [String] { guideConcepts ?? [conceptType == .style ? "art" : ""] }

  /// Settings that the UCE edit takes over.
  private static let sharedKeys = ["concept_type", "erase_concept", "guide_concepts", "preserve_concepts"]

  /// Settings of UCE that decide nothing about the edit.
  private static let generationKeys = [
    "save_path", "load_path", "num_inference_steps", "guidance_scale", "scheduler", "eta", "use_fp16", "device",
  ]

  /// The edit that comes first.
  private var start: UCEConfiguration {
    get throws(ConfigurationError) {
      let own = encode()
      let shared = Self.sharedKeys.map { ($0, own[$0] ?? .null) }
      return try UCEConfiguration.parse(.object(uce.merging(shared) { $1 }), keyPath: "uce")
    }
  }
}

extension RECEConfiguration: Technique {
  public static let name = "rece"
  public static let sourceFile = #fileID
  public static let sourceFiles = [sourceFile, UCEConfiguration.sourceFile]
  public static let summary = TechniqueSummary(
    .weights, "Reliable and Efficient Concept Erasure",
    paper: "Gong et al., ECCV 2024, arXiv 2407.12383",
    cost: "none: two linear systems for each key and value matrix and epoch")

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let model = context.model
    let guideNames = try counterparts(guides, of: eraseConcept.names, key: "guide_concepts")
    let concepts = eraseConcept.names.map { EncodedPrompt($0, model).states }
    let replacements = guideNames.map { EncodedPrompt($0, model).states }
    let oldTargets = oldTargetConcept.map { name in concepts.map { _ in EncodedPrompt(name, model).states } }
    let kept = EncodedPrompt.states(of: preserveConcepts ?? [""], model)
    let original = try ClosedFormEdit.crossAttentionMatrices(model.unetWeights).map(\.matrix)

    var edited = try start.editedMatrices(model)
    var distances: [JSON] = []
    for epoch in 0..<epochs {
      let weights = model.unetWeights.replacing(edited)
      let adversarial = try AdversarialEmbedding(
        original: original, erased: ClosedFormEdit.crossAttentionMatrices(weights).map(\.matrix),
        regularization: embComputing, item: regItem, scale: regularScale)
      let embeddings = try concepts.indices.map { index in
        try adversarial.embedding(of: concepts[index], oldTarget: oldTargets?[index] ?? replacements[index])
      }
      // λ W and the targets are those of the epoch before, not of the base model, as in the script.
      edited = try ClosedFormEdit.ofCrossAttention(weights, lambda: lamb) { _, edit in
        for (old, new) in zip(embeddings, replacements) {
          edit.map(old, to: target.outputs(old, new, edit), scale: eraseScale)
        }
        edit.keep(kept, scale: preserveScale)
      }
      let moved = zip(embeddings, concepts).map { ($0 - $1).norm / $1.norm }
      distances.append(.number(moved.reduce(0, +) / Double(moved.count)))
      try context.monitor.advance(to: epoch + 1, of: epochs)
    }
    var details = ClosedFormEdit.details(of: edited, from: model.unetWeights)
    details["relative_distance_of_adversarial_embedding_by_epoch"] = .array(distances)
    return ModelEdit(replacedUNetTensors: edited, details: .object(details))
  }
}

/// The embedding that makes an erased model do what a concept made the original one do (RECE, equations 5 to 8):
/// c' that minimises Σ ‖W' c' - W c‖², the sum over all key and value matrices, with a term that keeps it bounded.
public struct AdversarialEmbedding {
  /// What the additional term asks for, with its weight λ.
  public enum Regularization: String, CaseIterable, ConfigurationValue {
    /// λ ‖c'‖²
    case zero = "close_regzero"
    /// λ ‖c' - c_target‖²
    case standard = "close_standardreg"
    /// λ Σ ‖W' c' - W' c‖², λ ‖c' - c‖², or both
    case surrogate = "close_surrogatereg"
  }

  /// The parts of the surrogate term.
  public enum SurrogateItem: String, CaseIterable, ConfigurationValue {
    case first = "1st"
    case second = "2nd"
    case both
  }

  /// A of A c' = B c + offset, (width, width).
  private let system: Matrix
  /// B, (width, width).
  private let right: Matrix
  /// What is multiplied with the old target to give the offset.
  private let targetScale: Double

  /// - Parameters:
  ///   - original: the key and value matrices W, each (outputs, width)
  ///   - erased: W' of the same layers in the same order
  ///   - item: the parts of ``Regularization/surrogate``, of no effect on the others
  ///   - scale: λ
  public init(
    original: [Matrix], erased: [Matrix], regularization: Regularization, item: SurrogateItem = .first, scale: Double
  ) {
    let width = original.first?.columns ?? 0
    let identity = Matrix.identity(width, scale: scale)
    var squares = Matrix.identity(width, scale: 0)
    var crossed = squares
    for (new, old) in zip(erased, original) {
      squares = squares + new.times(new, transposed: true)
      crossed = crossed + new.times(old, transposed: true)
    }
    let actsOnOutputs = regularization == .surrogate && item != .second
    let actsOnEmbedding = regularization == .surrogate && item != .first
    var (system, right) = (squares, crossed)
    if actsOnOutputs { (system, right) = (system + squares * scale, right + squares * scale) }
    if actsOnEmbedding { (system, right) = (system + identity, right + identity) }
    if regularization != .surrogate { system = system + identity }
    self.system = system
    self.right = right
    targetScale = regularization == .standard ? scale : 0
  }

  /// c' for each row c.
  ///
  /// - Parameters:
  ///   - concept: (tokens, width)
  ///   - oldTarget: what ``Regularization/standard`` draws towards, of the same shape
  /// - Throws: ``ErasureError`` where the matrices leave c' open.
  public func embedding(of concept: Matrix, oldTarget: Matrix) throws -> Matrix {
    do {
      return try system.solved(for: concept.times(right, otherTransposed: true) + oldTarget * targetScale)
    } catch let error as MatrixError {
      throw ErasureError(
        "no adversarial embedding can be derived (\(error)): emb_computing \"close_regzero\" always has one")
    }
  }
}

private let document = "eval-learn documentation"
private let script = "script train.py of RECE"
