public import Configuration
public import Diffusion
public import Tensors

/// What decides the training and the hardening of soft pruning masks (methods 1.5).
public struct SoftMaskSettings: Configuration, Equatable {
  /// What an m of its own is learnt for.
  public enum Granularity: String, CaseIterable, ConfigurationValue {
    /// Every element of a weight, as in the paper.
    case element
    /// Every row of a weight: all elements of one output unit share it, which takes the memory of m and of AdamW's two
    /// moments from that of the weights to next to nothing.
    case row
  }

  public var temperature = 10.0
  public var maskInit = 1.0
  public var granularity = Granularity.element
  public var threshold = 0.5
  public var adamEpsilon = 1e-8
  public var adamWeightDecay = 0.01

  public init() {}

  public static let fields: [Field<SoftMaskSettings>] = [
    Field(
      "temperature", \.temperature, .greaterThan(0), "τ of the soft mask σ(τ m): the larger, the nearer to 0 and 1",
      source: paper),
    Field(
      "mask_init", \.maskInit, "m of every element before training; at 1 and τ = 10 the model is nearly unchanged",
      source: "own; the paper's value is lost"),
    Field(
      "mask_granularity", \.granularity,
      "What an m is learnt for: each element of a weight, or each row, whose elements are then kept or pruned as one; "
        + "rows need a fraction of the memory", source: "own; the paper's is element"),
    Field(
      "threshold", \.threshold, .between(0...1), "Elements whose soft mask is not above this are pruned",
      source: paper),
    .adamEpsilon(
      \.adamEpsilon, note: "; masks that hardly move are not pruned, so it decides how much is",
      source: "own; PyTorch's default"),
    .adamWeightDecay(\.adamWeightDecay, source: "own; PyTorch's default"),
  ]

  /// What a training of masks of a group holds.
  func trainingMemory(of group: ParameterGroup, samples: Int) -> TrainingMemory {
    TrainingMemory(granularity == .row ? .rowMasks : .masks, of: group, samples: samples)
  }

  /// The settings that decide training; the threshold comes after it.
  public var trainingInputs: JSON {
    var members = encode(affectingResult: true).object ?? [:]
    members["threshold"] = nil
    return .object(members)
  }
}

/// Soft pruning masks of a model's weights (arXiv 2405.16534; methods 1.5, 6.7): the weights stay, and each of them is
/// multiplied by σ(τ m) with an m of its own that is learnt, or by one that it shares with its row
/// (``SoftMaskSettings/Granularity``); after training the mask is made binary.
///
/// Weights and biases of linear layers and convolutions have masks, norms have none.
public struct SoftMask {
  public let settings: SoftMaskSettings
  /// The weights that have masks, in order.
  public let names: [String]
  private let weights: Weights

  /// - Throws: ``ErasureError`` for a group without such a weight.
  public init(_ settings: SoftMaskSettings, of weights: Weights, group: ParameterGroup) throws {
    self.settings = settings
    self.weights = weights
    names = try group.names(in: weights).filter(ParameterGroup.isOfLinearOrConvolution)
    guard !names.isEmpty else {
      throw ErasureError("the group \"\(group.rawValue)\" has no weight of a linear layer or a convolution to mask")
    }
  }

  /// AdamW as the masks are trained with it.
  public var optimizer: AdamOptimizer.Settings {
    AdamOptimizer.Settings(epsilon: Float(settings.adamEpsilon), weightDecay: Float(settings.adamWeightDecay))
  }

  /// m before training, by name of the weight: of the weight's shape, or of (rows, 1, ...) where rows share it.
  public var start: [String: Tensor] {
    names.reduce(into: [:]) { masks, name in
      masks[name] = weights[name].map { weight in
        let row = [weight.shape[0]] + Array(repeating: 1, count: weight.rank - 1)
        return Tensor.full(Float(settings.maskInit), settings.granularity == .row ? row : weight.shape)
      }
    }
  }

  /// The masked weights θ0 ⊙ σ(τ m), on the tape of m.
  public func masked(_ masks: [String: Tensor]) -> [String: Tensor] {
    names.reduce(into: [:]) { masked, name in
      guard let weight = weights[name], let mask = masks[name] else { return }
      masked[name] = (mask * Float(settings.temperature)).sigmoid() * weight
    }
  }

  /// The elements whose σ(τ m) is not above the threshold.
  public func hardened(_ masks: [String: Tensor]) -> PruningMask {
    let threshold = Float(settings.threshold)
    var pruned = PruningMask()
    for name in names {
      guard let mask = masks[name], let count = weights[name]?.count else { continue }
      let soft = (mask.detached * Float(settings.temperature)).sigmoid()
      let shared = count / soft.count
      let positions = soft.values.indices { $0 <= threshold }
      pruned.prune(positions.flatMap { $0 * shared..<($0 + 1) * shared }, of: name, count: count)
    }
    return pruned
  }

  /// The edit that learnt masks make: what they rule out is pruned. Its details are those of ``figures(_:)``, the share
  /// of small gradients, and the gap between soft and binary masks (methods 1.5).
  ///
  /// - Parameters:
  ///   - learnt: m of every masked weight by its name, and the share under ``smallGradientsName``
  ///   - prompts: texts that name the concept; the gap is taken under the first four of them and under the empty text
  ///   - trajectory: of the model without masks; where the gap is taken
  ///   - stream: the random numbers of these points
  public func edit(
    _ learnt: [String: Tensor], of model: DiffusionModel, gapUnder prompts: [String], on trajectory: PartialTrajectory,
    _ stream: RandomStream
  ) throws -> ModelEdit {
    let pruned = hardened(learnt)
    let prompts = prompts.prefix(4).flatMap { [$0, ""] }
    let points = try trajectory.points(prompts, prompts.indices.map { stream.item($0) })
    let states = prompts.map { model.textEncoder([model.tokenizer.encode($0)]) }
    var details = figures(pruned)
    details["share_of_gradients_below_epsilon"] = learnt[Self.smallGradientsName].map { .number(Double($0.item)) }
    details["soft_hard_output_gap"] = .number(try outputGap(learnt, model, at: points, states: states))
    return ModelEdit(pruned: pruned, details: .object(details))
  }

  /// What ``edit(_:of:gapUnder:on:_:)`` takes: points under the prompts and as many under the empty one, and there two
  /// passes each.
  ///
  /// - Parameter point: what one of them takes
  static func editWork(prompts: Int, point: ModelWork) -> ModelWork {
    (point + ModelWork(forwards: 2)) * (2 * min(prompts, 4))
  }

  /// The name of the share of small gradients among the tensors of an estimate; no weight has it.
  public static let smallGradientsName = "share of gradients below epsilon"

  /// The share of the elements of m whose gradient before training is smaller than AdamW's epsilon. There the slope
  /// τ M (1 - M) is the smallest, and what does not move then may never do.
  ///
  /// - Parameter loss: of a sample, given its number and m under a tape
  public func smallGradientShare(
    samples: Int, loss: (Int, [String: Tensor]) throws -> Tensor
  ) throws -> Double {
    let start = start
    var sums: [Tensor] = []
    let atATime = min(samples, GradientWindow.samples(ofBytes: 4 * start.values.reduce(0) { $0 + $1.count }))
    for first in stride(from: 0, to: samples, by: atATime) {
      let gradients = try mapOnThreads(min(atATime, samples - first)) { index -> [Tensor] in
        let tape = Tape()
        let masks = start.mapValues { tape.watch($0) }
        return tape.gradients(of: try loss(first + index, masks), for: names.compactMap { masks[$0] })
      }
      for sample in gradients { sums = sums.isEmpty ? sample : zip(sums, sample).map { $0 + $1 } }
    }
    let limit = Float(settings.adamEpsilon) * Float(samples)
    let small = sums.reduce(0) { $0 + $1.values.count { abs($0) < limit } }
    return Double(small) / Double(sums.reduce(0) { $0 + $1.count })
  }

  /// How far the binary mask's model is from the soft one: the norm of the difference of their predictions over that
  /// of the soft one's, at some points of a trajectory.
  ///
  /// - Parameter states: what each point's prediction is made under, (1, positions, width)
  public func outputGap(
    _ masks: [String: Tensor], _ model: DiffusionModel, at points: [PartialTrajectory.Point], states: [Tensor]
  ) throws -> Double {
    let soft = try model.replacingUNetWeights(masked(masks)).unet
    let hard = try model.replacingUNetWeights(hardened(masks).applied(to: model.unetWeights)).unet
    let squares = try mapOnThreads(points.count) { index -> (gap: Double, size: Double) in
      let point = points[index]
      let expected = soft(point.latent, timesteps: [point.timestep], encoderHiddenStates: states[index])
      let found = hard(point.latent, timesteps: [point.timestep], encoderHiddenStates: states[index])
      return ((found - expected).sumOfSquares, expected.sumOfSquares)
    }
    let size = squares.reduce(0) { $0 + $1.size }
    return (squares.reduce(0) { $0 + $1.gap } / max(size, .leastNormalMagnitude)).squareRoot()
  }

  /// What a run's record keeps of a binary mask: the pruned share of the elements that have masks, and of all of the
  /// UNet's, and that of each weight that lost any.
  public func figures(_ pruned: PruningMask) -> [String: JSON] {
    let maskable = names.reduce(0) { $0 + (weights[$1]?.count ?? 0) }
    var layers: [String: JSON] = [:]
    for (name, positions) in pruned.elements {
      layers[name] = .number(Double(positions.count) / Double(pruned.counts[name] ?? positions.count))
    }
    return [
      "prune_ratio": .number(Double(pruned.prunedCount) / Double(max(maskable, 1))),
      "prune_ratio_of_unet": .number(Double(pruned.prunedCount) / Double(max(weights.parameterCount, 1))),
      "maskable_elements": .integer(maskable), "pruned_elements": .integer(pruned.prunedCount),
      "prune_ratio_by_tensor": .object(layers),
    ]
  }
}

private let paper = "seed document 001, section 4.1"
