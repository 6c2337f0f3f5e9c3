internal import CKernels

/// Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019) over a set of named tensors.
///
/// The optimiser owns the values it trains: it copies the starting values once and updates them in place, so that a
/// step allocates nothing. ``parameters`` are tensors of their own for each step to build a model from.
public final class AdamOptimizer {
  public struct Settings: Sendable, Equatable {
    public var beta1: Float
    public var beta2: Float
    /// Added to the root of the second moment: the gradient size below which steps shrink.
    public var epsilon: Float
    public var weightDecay: Float
    /// AdamW's decay shrinks the values themselves; Adam's is a part of the gradient.
    public var decouplesWeightDecay: Bool

    public init(
      beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8, weightDecay: Float = 0,
      decouplesWeightDecay: Bool = true
    ) {
      self.beta1 = beta1
      self.beta2 = beta2
      self.epsilon = epsilon
      self.weightDecay = weightDecay
      self.decouplesWeightDecay = decouplesWeightDecay
    }
  }

  public let settings: Settings
  public let names: [String]
  public private(set) var stepCount = 0
  private var values: [Tensor]
  private var firstMoments: [Tensor]
  private var secondMoments: [Tensor]

  public init(_ parameters: [(name: String, tensor: Tensor)], _ settings: Settings = Settings()) {
    self.settings = settings
    names = parameters.map(\.name)
    values = parameters.map { $0.tensor.copied() }
    firstMoments = parameters.map { Tensor.zeros($0.tensor.shape) }
    secondMoments = parameters.map { Tensor.zeros($0.tensor.shape) }
  }

  /// The current values, in the order of ``names``. They change with the next step.
  public var parameters: [(name: String, tensor: Tensor)] { Array(zip(names, values)) }

  /// One step along `gradients`, given in the order of ``names``.
  ///
  /// - Parameter scale: multiplies every gradient first: what clipping by the global norm asks for
  public func step(_ gradients: [Tensor], learningRate: Float, scale: Float = 1) {
    precondition(gradients.count == values.count, "\(gradients.count) gradients for \(values.count) parameters")
    stepCount += 1
    let correction1 = 1 - power(settings.beta1, stepCount), correction2 = 1 - power(settings.beta2, stepCount)
    let decay = settings.weightDecay
    parallelFor(values.count) { index in
      let gradient = scale == 1 ? gradients[index] : gradients[index].detached * scale
      lethe_adam(
        values[index].pointer, gradient.pointer, firstMoments[index].pointer, secondMoments[index].pointer,
        gradient.count, learningRate, settings.beta1, settings.beta2, correction1, correction2, settings.epsilon,
        settings.decouplesWeightDecay ? decay : 0, settings.decouplesWeightDecay ? 0 : decay)
      values[index].storage.valuesChanged()
    }
  }

  /// Brings every value back to where it may be, as projected gradient descent does after each step.
  ///
  /// - Parameter projection: changes a parameter's values in place
  public func project(_ projection: (UnsafeMutableBufferPointer<Float>) -> Void) {
    for value in values {
      projection(UnsafeMutableBufferPointer(start: value.pointer, count: value.count))
      value.storage.valuesChanged()
    }
  }

  /// All that a later process needs to go on: `value.NAME`, `first.NAME` and `second.NAME`, as they are now; the next
  /// step changes them.
  public var state: [(name: String, tensor: Tensor)] {
    names.enumerated().flatMap { index, name in
      [
        ("value.\(name)", values[index]), ("first.\(name)", firstMoments[index]),
        ("second.\(name)", secondMoments[index]),
      ]
    }
  }

  /// Goes on from a saved ``state`` after `stepCount` steps.
  ///
  /// - Throws: ``SafetensorsError`` or ``WeightsError`` where the file does not hold this optimiser's tensors.
  public func restore(_ file: SafetensorsFile, stepCount: Int) throws {
    // One at a time: together they would take as much memory as all that is there already.
    func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
      let read = file.contains(name) ? [name: try file.tensor(name)] : [:]
      return try Weights(read, source: file.path).tensor(name, shape, .zeros)
    }
    for (index, name) in names.enumerated() {
      let shape = values[index].shape
      values[index] = try tensor("value.\(name)", shape)
      firstMoments[index] = try tensor("first.\(name)", shape)
      secondMoments[index] = try tensor("second.\(name)", shape)
    }
    self.stepCount = stepCount
  }

  private func power(_ base: Float, _ exponent: Int) -> Float {
    var result = 1.0
    for _ in 0..<exponent where result > 1e-30 { result *= Double(base) }
    return Float(result)
  }
}

/// The factor that brings the norm of all gradients together down to `maximum`; 1 where it is not above.
public func clippingScale(_ gradients: [Tensor], maximum: Float) -> (scale: Float, norm: Float) {
  let norm = Float(gradients.reduce(0.0) { $0 + $1.sumOfSquares }.squareRoot())
  // PyTorch's clip_grad_norm_ adds 1e-6 to the norm.
  return (min(1, maximum / (norm + 1e-6)), norm)
}

/// An exponential moving average of weights.
public final class ExponentialMovingAverage {
  public let decay: Float
  /// Whether the decay ramps up from 0, so that early steps do not linger.
  public let rampsUp: Bool
  private let names: [String]
  private let averages: [Tensor]
  public private(set) var updateCount = 0

  public init(_ parameters: [(name: String, tensor: Tensor)], decay: Float, rampsUp: Bool = true) {
    self.decay = decay
    self.rampsUp = rampsUp
    names = parameters.map(\.name)
    averages = parameters.map { $0.tensor.copied() }
  }

  /// average = d * average + (1 - d) * value with d = decay, or min(decay, (1 + n) / (10 + n)) at update n of a ramp.
  public func update(_ parameters: [(name: String, tensor: Tensor)]) {
    let n = Float(updateCount)
    let current = rampsUp ? min(decay, (1 + n) / (10 + n)) : decay
    updateCount += 1
    parallelFor(averages.count) { index in
      lethe_exponential_average(
        averages[index].pointer, parameters[index].tensor.pointer, current, averages[index].count)
    }
  }

  public var parameters: [(name: String, tensor: Tensor)] { zip(names, averages).map { ($0, $1.copied()) } }

  public func restore(_ file: SafetensorsFile, updateCount: Int) throws {
    for (name, average) in zip(names, averages) {
      let saved = try file.tensor("average.\(name)")
      guard saved.shape == average.shape else {
        throw WeightsError(description: "\(file.path): '\(name)' has the shape \(saved.shape), not \(average.shape)")
      }
      average.pointer.update(from: saved.pointer, count: saved.count)
    }
    self.updateCount = updateCount
  }
}

extension Tensor {
  /// A constant with memory of its own.
  public func copied() -> Tensor {
    Tensor.make(shape) { $0.baseAddress?.update(from: pointer, count: count) }
  }
}
