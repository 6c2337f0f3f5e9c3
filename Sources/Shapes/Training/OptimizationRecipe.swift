public import Configuration
internal import Tensors

/// How one part of a model is trained, whatever the part: the `optimization` of its recipe file.
public struct OptimizationRecipe: Configuration {
  public var steps = 1000
  public var batchSize = 64
  public var microBatches = 4
  public var learningRate = 1e-3
  public var beta2 = 0.999
  public var weightDecay = 0.01
  public var warmup = 60
  public var hold = 0.0
  public var finalRate = 0.03
  public var maximumNorm = 1.0
  public var averageDecay: Double?
  public var seed = 0

  public init() {}

  public static var fields: [Field<OptimizationRecipe>] {
    [
      Field("steps", \.steps, .atLeast(1), "steps of the optimiser"),
      Field("batch_size", \.batchSize, .atLeast(1), "samples in a step"),
      Field(
        "micro_batches", \.microBatches, .atLeast(1),
        "parts into which a step's batch is cut; each is one thread's work"),
      Field("learning_rate", \.learningRate, .greaterThan(0), "peak rate of AdamW"),
      Field("beta2", \.beta2, belowOne, "decay of AdamW's second moment"),
      Field("weight_decay", \.weightDecay, .atLeast(0), "decoupled weight decay"),
      Field("warmup", \.warmup, .atLeast(0), "steps over which the rate rises from 0"),
      Field("hold", \.hold, .between(0...1), "share of the steps before the rate begins to fall"),
      Field("final_rate", \.finalRate, .between(0...1), "share of the peak that is left at the end of the half cosine"),
      Field("maximum_norm", \.maximumNorm, .greaterThan(0), "global norm to which gradients are clipped"),
      Field(
        "average_decay", \.averageDecay, .between(0...1),
        "decay of the moving average that is kept as the result; null keeps the last weights"),
      Field("seed", \.seed, .atLeast(0), "seed of the starting weights and of every choice in training"),
    ]
  }

  /// At 1 the moment never leaves 0, and the step divides by it.
  private static let belowOne = Rule<Double>("at least 0 and below 1") { (0..<1).contains($0) }

  public func validate() throws(ConfigurationError) {
    if batchSize % microBatches != 0 {
      throw ConfigurationError(keyPath: "micro_batches", "\(microBatches) does not divide the batch_size \(batchSize)")
    }
  }

  /// Samples of a micro-batch.
  var microBatchSize: Int { batchSize / microBatches }

  var trainerSettings: Trainer.Settings {
    Trainer.Settings(
      steps: steps, learningRate: learningRate,
      schedule: .warmupCosine(warmup: warmup, hold: hold, final: finalRate),
      optimizer: .init(beta2: Float(beta2), weightDecay: Float(weightDecay)), maximumNorm: Float(maximumNorm),
      averageDecay: averageDecay.map { Float($0) }, microBatches: microBatches)
  }
}

/// Refuses a width that cannot be cut into equal parts.
func refuseUneven(
  _ width: Int, _ widthKey: String, by parts: Int, _ partsKey: String
) throws(ConfigurationError) {
  guard width % parts == 0 else {
    throw ConfigurationError(keyPath: partsKey, "\(parts) does not divide the \(widthKey) \(width)")
  }
}
