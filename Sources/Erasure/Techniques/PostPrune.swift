public import Configuration
public import Diffusion
internal import Tensors

/// Post-Prune (arXiv 2405.16534, section 4.5; methods 1.6): ESD, and then the smallest weights of the erased UNet are
/// pruned.
public struct PostPruneConfiguration: Configuration {
  public var training = ESDSettings()
  public var pruneRatio = 0.1
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<PostPruneConfiguration>] =
    ESDSettings.fields.map { $0.inside(\.training) } + [
      .pruneRatio(\.pruneRatio),
      .savePath(\.savePath),
      .loadPath(\.loadPath),
    ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var inForce: [String: JSON] { training.inForce }

  public var warnings: [String] { loadPath == nil ? training.warnings : [] }

  public func validate() throws(ConfigurationError) { try training.validate() }
}

extension PostPruneConfiguration: Technique {
  public static let name = "post_prune"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .mask, "Post-Prune: ESD, then magnitude pruning",
    paper: "arXiv 2405.16534", cost: "that of ESD")

  public func check(_ model: DiffusionModel) throws { _ = try training.trainMethod.names(in: model.unetWeights) }

  public func estimates(seed: UInt64) -> [Estimate] {
    loadPath == nil ? [ESDTraining(training, steps: samplerSettings.steps, seed: seed).estimate] : []
  }

  public var trainingMemory: TrainingMemory? { training.trainingMemory }

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let trained = try context.estimate("esd")
    let base = context.model.unetWeights
    let pruned = PruningMask.smallest(share: pruneRatio, of: base.replacing(trained))
    var details = ChangeFigures(trained, from: base).members
    details["pruned_elements"] = .integer(pruned.prunedCount)
    return ModelEdit(replacedUNetTensors: trained, pruned: pruned, details: .object(details))
  }
}
