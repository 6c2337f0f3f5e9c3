internal import Configuration
public import Tensors

/// The training loop of the techniques that learn: some tensors, a loss, Adam.
///
/// It tells of every step's loss, stops where it is asked to with its state kept, and goes on from such a state to the
/// same bytes.
public struct FineTuning {
  public var steps: Int
  public var learningRate: Double
  /// How the rate changes from step to step.
  public var schedule = LearningRateSchedule.constant
  public var optimizer: AdamOptimizer.Settings
  /// Samples of a step. Each has a tape of its own, and the step follows the mean of their losses.
  public var batchSize: Int
  /// Gradients are scaled down to this global norm; nil leaves them as they are.
  public var maximumNorm: Float?
  /// The decay of a moving average of the trained tensors; nil keeps none.
  public var averageDecay: Float?
  /// Whether that decay ramps up from 0 in the first steps, as that of trainings from scratch does.
  public var rampsAverage: Bool

  public init(
    steps: Int, learningRate: Double, optimizer: AdamOptimizer.Settings = .init(), batchSize: Int = 1,
    maximumNorm: Float? = nil, averageDecay: Float? = nil, rampsAverage: Bool = true
  ) {
    self.steps = steps
    self.learningRate = learningRate
    self.optimizer = optimizer
    self.batchSize = batchSize
    self.maximumNorm = maximumNorm
    self.averageDecay = averageDecay
    self.rampsAverage = rampsAverage
  }

  /// What a training leaves.
  public struct Result {
    /// The trained tensors, or their moving average where one is kept.
    public let tensors: [String: Tensor]
    /// The mean loss of the steps that this process did, in a hundred pieces at most.
    public let losses: [Double]
  }

  /// How often the state is kept on the way, in seconds.
  private static let savingInterval: Duration = .seconds(30)

  /// Trains.
  ///
  /// - Parameters:
  ///   - start: the tensors to train, by name, as they are at first
  ///   - prepare: what a step needs besides, made on the calling thread before its samples begin; it is given the
  ///     number of the step and the tensors as they are
  ///   - project: changes the tensors after each step, to freeze some of their elements for example
  ///   - loss: the loss of a sample, given the number of the step, that of the sample, what was prepared, and the
  ///     tensors under a tape; runs on several threads at once
  public func run<Prepared>(
    _ context: EditContext, start: [String: Tensor],
    prepare: (Int, [String: Tensor]) throws -> Prepared,
    project: (([String: Tensor]) -> Void)? = nil,
    loss: (Int, Int, Prepared, [String: Tensor]) throws -> Tensor
  ) throws -> Result {
    try run(
      context, start: start, prepare: { step, tensors, _ in try prepare(step, tensors) }, project: project, loss: loss)
  }

  /// The same where a step's preparation also looks at the moving averages: it is given a function that copies them.
  public func run<Prepared>(
    _ context: EditContext, start: [String: Tensor],
    prepare: (_ step: Int, _ tensors: [String: Tensor], _ averages: () -> [String: Tensor]) throws -> Prepared,
    project: (([String: Tensor]) -> Void)? = nil,
    loss: (Int, Int, Prepared, [String: Tensor]) throws -> Tensor
  ) throws -> Result {
    let weights = Weights(start, source: "the trained tensors")
    let trainer = Trainer(
      weights,
      Trainer.Settings(
        steps: steps, learningRate: learningRate, schedule: schedule, optimizer: optimizer, maximumNorm: maximumNorm,
        averageDecay: averageDecay, rampsAverage: rampsAverage, microBatches: batchSize,
        microBatchesAtATime: GradientWindow.samples(ofBytes: weights.byteCount)))
    if let file = context.savedState { try trainer.resume(from: file) }
    var losses: [Double] = []
    var saved = ContinuousClock.now
    while !trainer.isFinished {
      let step = trainer.step
      let prepared = try prepare(step, Self.named(trainer.weights)) { Self.named(trainer.averagedWeights) }
      let report = try trainer.advance { sample, weights in
        try loss(step, sample, prepared, Self.named(weights))
      }
      project?(Self.named(trainer.weights))
      losses.append(Double(report.loss))
      guard report.loss.isFinite else {
        throw ErasureError("the loss is no longer a number after step \(report.step): a smaller learning rate may help")
      }
      context.monitor.loss(report.loss)
      context.monitor.progress(report.step, steps)
      let stops = context.monitor.isCancelled()
      if stops || saved.duration(to: .now) > Self.savingInterval {
        try context.saveState { try trainer.save(to: $0) }
        saved = .now
      }
      if stops { throw CancellationError() }
    }
    return Result(tensors: Self.named(trainer.averagedWeights), losses: Self.thinned(losses))
  }

  private static func named(_ weights: Weights) -> [String: Tensor] {
    Dictionary(weights.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { $1 })
  }

  /// The means of a hundred pieces.
  private static func thinned(_ losses: [Double]) -> [Double] {
    let size = (losses.count + 99) / 100
    return stride(from: 0, to: losses.count, by: max(size, 1)).map { first in
      let piece = losses[first..<min(first + size, losses.count)]
      return piece.reduce(0, +) / Double(piece.count)
    }
  }
}
