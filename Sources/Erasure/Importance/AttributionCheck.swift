public import Diffusion
public import Tensors

/// How well the sum of attributions predicts what the objective loses when weights are set to zero (figure 2): random
/// small ablations, each with its prediction and its effect.
public struct AttributionCheck: Sendable {
  public var attribution: ConceptAttribution
  public var modules: [AttributedModules]
  /// Ablations; the publication has 1000.
  public var trials: Int
  /// The share of the modules' weights that one ablation sets to zero, one weight at least; the publication's is
  /// 0.01 %.
  public var share: Double

  public init(
    _ attribution: ConceptAttribution, modules: [AttributedModules] = [.feedForward], trials: Int = 1000,
    share: Double = 1e-4
  ) {
    self.attribution = attribution
    self.modules = modules
    self.trials = trials
    self.share = share
  }

  public struct Result: Sendable {
    /// How many weights each ablation has set to zero.
    public let weights: Int
    /// Of how many: what the modules have.
    public let total: Int
    /// For each ablation the sum of the attributions of its weights.
    public let predicted: [Double]
    /// J of the model less J of the ablated one.
    public let actual: [Double]

    /// The share that this comes to.
    public var share: Double { Double(weights) / Double(total) }

    /// Pearson's correlation of the two; not a number where either does not vary.
    public var correlation: Double {
      let count = Double(predicted.count)
      let (meanX, meanY) = (predicted.reduce(0, +) / count, actual.reduce(0, +) / count)
      var (xx, yy, xy) = (0.0, 0.0, 0.0)
      for (x, y) in zip(predicted, actual) {
        xx += (x - meanX) * (x - meanX)
        yy += (y - meanY) * (y - meanY)
        xy += (x - meanX) * (y - meanY)
      }
      return xy / (xx * yy).squareRoot()
    }
  }

  /// - Parameter values: what ``ConceptAttribution/values(_:monitor:)`` found for this model
  /// - Throws: ``ErasureError`` for modules that the UNet does not have.
  public func run(_ model: DiffusionModel, values: [String: Tensor], monitor: WorkMonitor) throws -> Result {
    let names = try AttributedModules.names(modules, in: model.unetWeights)
    let tensors = try names.map { name in
      guard let tensor = values[name] else { throw ErasureError("the attribution has no tensor '\(name)'") }
      return tensor
    }
    let total = tensors.reduce(0) { $0 + $1.count }
    let size = max(1, Int(share * Double(total)))
    let samples = try attribution.samples(model)
    let whole = try attribution.value(model, at: samples)
    var (predicted, actual) = ([Double](), [Double]())
    for trial in 0..<trials {
      let stream = RandomStream(seed: attribution.seed, "attribution check").item(trial)
      var mask = PruningMask()
      var prediction = 0.0
      var rest = Set(stream.integers(size, below: total)).sorted()[...]
      var start = 0
      for (name, tensor) in zip(names, tensors) {
        let own = rest.prefix { $0 < start + tensor.count }.map { $0 - start }
        rest = rest.dropFirst(own.count)
        tensor.withUnsafeValues { values in prediction += own.reduce(0) { $0 + Double(values[$1]) } }
        mask.prune(own, of: name, count: tensor.count)
        start += tensor.count
      }
      let ablated = try model.replacingUNetWeights(mask.applied(to: model.unetWeights))
      predicted.append(prediction)
      actual.append(whole - (try attribution.value(ablated, at: samples)))
      try monitor.advance(to: trial + 1, of: trials)
    }
    return Result(weights: size, total: total, predicted: predicted, actual: actual)
  }
}
