public import Configuration
public import Diffusion

/// CAD-Amplify (Nguyen, Phan and Doan, 2024, arXiv 2412.02542, algorithm 2): the weights that count most against a
/// concept are set to zero, so that it comes forward. The pictures of the concept that the publication starts from are
/// drawn by the model itself.
public struct CADAmplifyConfiguration: Configuration {
  public var amplifyConcept = "nudity"
  var settings = AttributionSettings(.denoising, startGuidance: 7.5, numEstimates: 50)
  public var generation = GenerationSettings()

  public init() {}

  /// The attribution that the edit is made from, to be held against the objective by an ``AttributionCheck``.
  public func attribution(seed: UInt64) -> ConceptAttribution { settings.attribution(amplifyConcept, seed: seed) }

  /// The modules whose weights may be removed.
  public var modules: [AttributedModules] { settings.modules }

  public static let fields: [Field<CADAmplifyConfiguration>] = [
    Field(
      "amplify_concept", \.amplifyConcept, .notEmpty,
      "The concept to amplify; the prompt of the attribution if prompts is not set",
      source: "seed document 002", role: .concept),
  ] + AttributionSettings.fields.map { $0.inside(\.settings) }
    + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var warnings: [String] { settings.warnings }
}

extension CADAmplifyConfiguration: Technique {
  public static let name = "cad_amplify"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .mask, "CAD-Amplify: removes what works against a concept",
    paper: "Nguyen, Phan and Doan, arXiv 2412.02542",
    cost: "a trajectory for each prompt and picture, and a forward and a backward pass for each of their steps")

  public func check(_ model: DiffusionModel) throws { try settings.check(model) }

  public func estimates(seed: UInt64) -> [Estimate] { [settings.estimate(amplifyConcept, seed: seed)] }

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit { try settings.edit(.negative, context) }
}
