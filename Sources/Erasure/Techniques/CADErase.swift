public import Configuration
public import Diffusion

/// CAD-Erase (Nguyen, Phan and Doan, 2024, arXiv 2412.02542, algorithm 1): the weights that count most for a concept
/// are set to zero, a few of each row. Nothing is trained, and dropping the mask gives the model back.
public struct CADEraseConfiguration: Configuration {
  public var eraseConcept = "nudity"
  var settings = AttributionSettings(.guidance, startGuidance: 3, numEstimates: 1)
  public var generation = GenerationSettings()

  public init() {}

  /// The attribution that the edit is made from, to be held against the objective by an ``AttributionCheck``.
  public func attribution(seed: UInt64) -> ConceptAttribution { settings.attribution(eraseConcept, seed: seed) }

  /// The modules whose weights may be removed.
  public var modules: [AttributedModules] { settings.modules }

  public static let fields: [Field<CADEraseConfiguration>] = [
    Field(
      "erase_concept", \.eraseConcept, .notEmpty,
      "The concept to erase; the prompt of the attribution if prompts is not set",
      source: "seed document 002", role: .concept),
  ] + AttributionSettings.fields.map { $0.inside(\.settings) }
    + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var warnings: [String] { settings.warnings }
}

extension CADEraseConfiguration: Technique {
  public static let name = "cad_erase"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .mask, "CAD-Erase: removes what works for a concept",
    paper: "Nguyen, Phan and Doan, arXiv 2412.02542",
    cost: "a part of a trajectory and a forward and a backward pass for each prompt, round and step")

  public func check(_ model: DiffusionModel) throws { try settings.check(model) }

  public func estimates(seed: UInt64) -> [Estimate] { [settings.estimate(eraseConcept, seed: seed)] }

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit { try settings.edit(.positive, context) }
}
