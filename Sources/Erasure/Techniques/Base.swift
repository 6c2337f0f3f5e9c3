public import Configuration
public import Diffusion
public import Tensors

/// The technique `base`: no edit at all, the row that every other technique is compared with.
public struct BaseConfiguration: Configuration {
  public var numInferenceSteps: Int?
  public var guidanceScale: Double?
  public var useFP16 = true
  public var device: Device?

  public init() {}

  public static let fields: [Field<BaseConfiguration>] = [
    .numInferenceSteps(\.numInferenceSteps),
    .guidanceScale(\.guidanceScale),
    .useFP16(\.useFP16),
    .device(\.device),
  ]
}

extension BaseConfiguration: Technique {
  public static let name = "base"
  public static let sourceFile = #fileID

  public static let summary = TechniqueSummary(.none, paper: "", cost: "none")

  public func edit(_ context: EditContext) throws -> ModelEdit { ModelEdit() }
}
