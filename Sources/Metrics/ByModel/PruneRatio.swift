public import Configuration
internal import Diffusion
internal import Erasure
public import Tensors

/// The share of weights that an edit prunes (arXiv 2405.16534, section 4.1): of those that its technique may prune, and
/// of the whole UNet. An edit without a mask prunes none.
public struct PruneRatioConfiguration: Configuration {
  public init() {}
  public static let fields: [Field<PruneRatioConfiguration>] = []
}

extension PruneRatioConfiguration: ModelMetric {
  public static let name = "prune_ratio"
  public static let sourceFile = #fileID

  public func check(_ context: MetricContext) throws {}

  public func evaluate(
    _ models: MeasuredModels, _ context: MetricContext, monitor: WorkMonitor
  ) throws -> [MetricValue] {
    let weights = models.base.unetWeights
    let pruned = models.pruned.prunedCount
    let layers = models.pruned.elements.map { name, positions -> (String, JSON) in
      (name, .number(Double(positions.count) / Double(weights[name]?.count ?? positions.count)))
    }
    // The count is that of the UNet whatever the technique may prune of it, since values compare at equal counts only.
    func share(_ name: String, of elements: Int, _ details: JSON) -> MetricValue {
      MetricValue(
        name, Double(pruned) / Double(max(elements, 1)), unit: "share of elements", .none,
        count: weights.parameterCount, judge: "", details: details)
    }
    let maskable = models.maskableElements ?? weights.parameterCount
    return [
      share(
        Self.name, of: maskable,
        [
          "pruned": .integer(pruned), "maskable": .integer(maskable),
          "layers": .object(Dictionary(uniqueKeysWithValues: layers)),
        ]),
      share("prune_ratio_unet", of: weights.parameterCount, ["pruned": .integer(pruned)]),
    ]
  }
}
