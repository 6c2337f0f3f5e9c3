public import Configuration
public import Diffusion

/// The technique `base`: no edit at all, the row that every other technique is compared with.
public struct BaseConfiguration: Configuration {
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<BaseConfiguration>] = GenerationSettings.fields.map { $0.inside(\.generation) }
}

extension BaseConfiguration: Technique {
  public static let name = "base"
  public static let sourceFile = #fileID

  public static let summary = TechniqueSummary(
    .none, "the base model as it is",
    paper: "", cost: "none")

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit { ModelEdit() }
}
