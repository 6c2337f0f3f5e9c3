internal import CKernels

/// Trains named tensors with AdamW: a step's batch is cut into a fixed number of micro-batches, each with a tape of
/// its own on a thread of its own, and their gradients are summed in order. The result depends on the cut, which is a
/// setting, and not on the number of threads.
///
///     while trainer.step < trainer.settings.steps {
///       let report = try trainer.advance { microBatch, weights in
///         try loss(of: Model(config, weights), on: microBatch)
///       }
///     }
public final class Trainer {
  public struct Settings: Sendable {
    public var steps: Int
    public var learningRate: Double
    public var schedule: LearningRateSchedule
    public var optimizer: AdamOptimizer.Settings
    /// Gradients are scaled down to this global norm; nil leaves them as they are.
    public var maximumNorm: Float?
    /// The decay of a moving average of the weights; nil keeps none.
    public var averageDecay: Float?
    /// Whether that decay ramps up from 0 in the first steps.
    public var rampsAverage: Bool
    public var microBatches: Int
    /// Micro-batches whose gradients are held at a time; it changes memory and time, and no result.
    public var microBatchesAtATime: Int

    public init(
      steps: Int, learningRate: Double, schedule: LearningRateSchedule = .constant,
      optimizer: AdamOptimizer.Settings = .init(), maximumNorm: Float? = nil, averageDecay: Float? = nil,
      rampsAverage: Bool = true, microBatches: Int = 4, microBatchesAtATime: Int = .max
    ) {
      self.steps = steps
      self.learningRate = learningRate
      self.schedule = schedule
      self.optimizer = optimizer
      self.maximumNorm = maximumNorm
      self.averageDecay = averageDecay
      self.rampsAverage = rampsAverage
      self.microBatches = microBatches
      self.microBatchesAtATime = microBatchesAtATime
    }
  }

  /// What one step did.
  public struct Report: Sendable {
    /// Steps done, this one among them.
    public let step: Int
    /// The mean loss of the micro-batches.
    public let loss: Float
    /// The global norm of the gradients before clipping.
    public let gradientNorm: Float
    public let learningRate: Double
  }

  public let settings: Settings
  private let source: String
  private let optimizer: AdamOptimizer
  private let average: ExponentialMovingAverage?

  /// - Parameter weights: the starting values; every tensor of them is trained
  public init(_ weights: Weights, _ settings: Settings) {
    self.settings = settings
    source = weights.source
    optimizer = AdamOptimizer(weights.tensors, settings.optimizer)
    average = settings.averageDecay.map {
      ExponentialMovingAverage(weights.tensors, decay: $0, rampsUp: settings.rampsAverage)
    }
  }

  /// Steps done.
  public var step: Int { optimizer.stepCount }
  public var isFinished: Bool { step >= settings.steps }

  /// The trained weights as they are now; the next step changes them.
  public var weights: Weights { Weights(named: optimizer.parameters, source: source) }

  /// The moving average of the weights, or the weights themselves where none is kept; a copy.
  public var averagedWeights: Weights {
    average.map { Weights(named: $0.parameters, source: source) } ?? weights.mapValues { $0.copied() }
  }

  /// One step.
  ///
  /// - Parameter loss: the loss of a micro-batch, given its number and weights that a tape watches; it runs on several
  ///   threads at once. The step follows the mean of the losses.
  public func advance(_ loss: (Int, Weights) throws -> Tensor) throws -> Report {
    let gradients = optimizer.parameters.map { Tensor(unset: $0.tensor.shape) }
    var sumOfLosses: Float = 0
    for first in stride(from: 0, to: settings.microBatches, by: min(settings.microBatches, settings.microBatchesAtATime)) {
      let count = min(settings.microBatchesAtATime, settings.microBatches - first)
      let parts = try parallelMap(count) { index -> (loss: Float, gradients: [Tensor]) in
        let tape = Tape()
        let tracked = optimizer.parameters.map { (name: $0.name, tensor: tape.watch($0.tensor)) }
        let value = try loss(first + index, Weights(named: tracked, source: source))
        return (value.item, tape.gradients(of: value, for: tracked.map(\.tensor)))
      }
      add(parts.map(\.gradients), to: gradients, isFirst: first == 0)
      sumOfLosses = parts.reduce(sumOfLosses) { $0 + $1.loss }
    }
    let rate = settings.schedule.rate(step: step, of: settings.steps, peak: settings.learningRate)
    let clipping = clippingScale(gradients, maximum: settings.maximumNorm ?? .infinity)
    optimizer.step(gradients, learningRate: Float(rate), scale: clipping.scale)
    average?.update(optimizer.parameters)
    return Report(
      step: step, loss: sumOfLosses / Float(settings.microBatches), gradientNorm: clipping.norm,
      learningRate: rate)
  }

  /// Adds the shares of some micro-batches to the mean gradients, in order; the first of all set them.
  private func add(_ parts: [[Tensor]], to means: [Tensor], isFirst: Bool) {
    let scale = 1 / Float(settings.microBatches)
    parallelFor(means.count) { index in
      let mean = means[index]
      if isFirst { lethe_affine(parts[0][index].pointer, scale, 0, mean.pointer, mean.count) }
      for part in parts.dropFirst(isFirst ? 1 : 0) {
        lethe_axpy(scale, part[index].pointer, mean.pointer, mean.count)
      }
    }
  }

  /// Saves all that a later process needs to go on from this step to the same bytes.
  ///
  /// - Throws: `FileError` where the file cannot be written.
  public func save(to path: String) throws {
    let averages = (average?.parameters ?? []).map { (name: "average.\($0.name)", tensor: $0.tensor) }
    try Safetensors.write(optimizer.state + averages, to: path, metadata: ["step": "\(step)"])
  }

  /// Goes on from a file that ``save(to:)`` wrote.
  ///
  /// - Throws: ``SafetensorsError`` or ``WeightsError`` where the file is not one of this training.
  public func resume(from path: String) throws {
    let file = try SafetensorsFile(path)
    guard let step = file.metadata["step"].flatMap(Int.init), step >= 0 else {
      throw SafetensorsError(path, "is no training state: its metadata names no step")
    }
    try optimizer.restore(file, stepCount: step)
    try average?.restore(file, updateCount: step)
  }
}

extension Weights {
  fileprivate init(named tensors: [(name: String, tensor: Tensor)], source: String) {
    self.init(Dictionary(tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { $1 }), source: source)
  }
}
