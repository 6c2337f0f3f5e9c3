public import Configuration
public import Diffusion
internal import Tensors

/// Erased Stable Diffusion (Gandikota et al., ICCV 2023, arXiv 2303.07345): fine-tunes a group of weights so that the
/// prediction under the concept becomes one that is steered away from it.
public struct ESDConfiguration: Configuration {
  public var training = ESDSettings()
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<ESDConfiguration>] =
    ESDSettings.fields.map { $0.inside(\.training) } + [
      .savePath(\.savePath),
      .loadPath(\.loadPath),
    ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var inForce: [String: JSON] { training.inForce }

  public var warnings: [String] { loadPath == nil ? training.warnings : [] }

  public func validate() throws(ConfigurationError) { try training.validate() }
}

extension ESDConfiguration: Technique {
  public static let name = "esd"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .weights, "Erased Stable Diffusion",
    paper: "Gandikota, Materzynska, Fiotto-Kaufman and Bau, ICCV 2023, arXiv 2303.07345",
    cost: "for each training sample half a guided drawing, a pass of two texts, and a forward and a backward pass")

  public func check(_ model: DiffusionModel) throws { _ = try training.trainMethod.names(in: model.unetWeights) }

  public func estimates(seed: UInt64) -> [Estimate] {
    loadPath == nil ? [ESDTraining(training, steps: samplerSettings.steps, seed: seed).estimate] : []
  }

  public var trainingMemory: TrainingMemory? { training.trainingMemory }

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let trained = try context.estimate("esd")
    return ModelEdit(
      replacedUNetTensors: trained, details: ChangeFigures(trained, from: context.model.unetWeights).json)
  }
}
