public import Configuration
public import Diffusion
internal import Tensors

/// Pre-Prune (arXiv 2405.16534, section 4.5, after Jia et al., NeurIPS 2023; methods 1.6): the smallest weights of the
/// whole UNet are pruned, and ESD trains what is left. The pruned model is also the one that ESD holds frozen.
public struct PrePruneConfiguration: Configuration {
  public var training = ESDSettings()
  public var pruneRatio = 0.1
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<PrePruneConfiguration>] =
    ESDSettings.fields.map { $0.inside(\.training) } + [
      .pruneRatio(\.pruneRatio),
      .savePath(\.savePath),
      .loadPath(\.loadPath),
    ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var inForce: [String: JSON] { training.inForce }

  public var warnings: [String] { loadPath == nil ? training.warnings : [] }

  public func validate() throws(ConfigurationError) { try training.validate() }
}

extension PrePruneConfiguration: Technique {
  public static let name = "pre_prune"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .mask, "Pre-Prune: magnitude pruning, then ESD",
    paper: "arXiv 2405.16534, after Jia et al., NeurIPS 2023, arXiv 2304.04934", cost: "that of ESD")

  public func check(_ model: DiffusionModel) throws { _ = try training.trainMethod.names(in: model.unetWeights) }

  public func estimates(seed: UInt64) -> [Estimate] {
    guard loadPath == nil else { return [] }
    return [ESDTraining(training, steps: samplerSettings.steps, seed: seed, prunedShare: pruneRatio).estimate]
  }

  public var trainingMemory: TrainingMemory? { training.trainingMemory }

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let trained = try context.estimate(ESDTraining.name(prunedShare: pruneRatio))
    let base = context.model.unetWeights
    let pruned = PruningMask.smallest(share: pruneRatio, of: base)
    var details = ChangeFigures(trained, from: base).members
    details["pruned_elements"] = .integer(pruned.prunedCount)
    return ModelEdit(replacedUNetTensors: trained, pruned: pruned, details: .object(details))
  }
}
