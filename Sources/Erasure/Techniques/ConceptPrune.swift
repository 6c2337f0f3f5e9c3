public import Configuration
public import Diffusion
public import Tensors

/// ConceptPrune (Chavhan, Li and Hospedales, 2024, arXiv 2405.19237): the weights of the feed-forward layers that draw
/// a concept, and are more in use for it than for the same pictures without it, are set to zero.
///
/// At a step t a weight W_rj scores |W_rj| ‖X_j‖ by its neuron's activations X_j. It is skilled at t where it is among
/// the highest skill_ratio of its row for the target prompts, and scores more than for the base prompts; it goes where
/// it is skilled in more than select_ratio of the first steps.
public struct ConceptPruneConfiguration: Configuration {
  public var eraseConcept = "nudity"
  public var targetPrompts: [String]?
  public var basePrompts: [String]?
  public var skillRatio = 0.02
  public var timesteps = 10
  public var selectRatio = 0.5
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<ConceptPruneConfiguration>] = [
    Field(
      "erase_concept", \.eraseConcept, .notEmpty,
      "The concept to erase; the target prompt if target_prompts is not set", source: "seed document 002",
      role: .concept),
    Field(
      "target_prompts", \.targetPrompts, .notEmpty, "Prompts with the concept; [erase_concept] if unset",
      source: publication, role: .prompt),
    Field(
      "base_prompts", \.basePrompts, .notEmpty,
      "The same prompts without the concept, one for each target prompt; empty prompts if unset", source: publication,
      role: .prompt),
    Field(
      "skill_ratio", \.skillRatio, .between(0...1),
      "The share of each row that may be skilled at a step, rounded down to whole weights; 0.01 for nudity",
      source: publication),
    Field(
      "timesteps", \.timesteps, .atLeast(1), "The number of first denoising steps that are looked at; 9 for nudity",
      source: publication),
    Field(
      "select_ratio", \.selectRatio, .between(0...1),
      "A weight is removed where it is skilled in more than this share of the steps", source: "seed document 002"),
  ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  /// Prompts with the concept.
  public var effectiveTargetPrompts: [String] { targetPrompts ?? [eraseConcept] }

  /// Prompts without it.
  public var effectiveBasePrompts: [String] {
    basePrompts ?? Array(repeating: "", count: effectiveTargetPrompts.count)
  }

  public var warnings: [String] {
    var warnings: [String] = []
    if targetPrompts == nil {
      warnings.append("target_prompts is not set: neurons are told by the prompt \"\(eraseConcept)\" alone")
    }
    if basePrompts == nil {
      warnings.append(
        "base_prompts is not set: neurons are compared with those of the empty prompt, which draws anything at all")
    }
    return warnings
  }

  public func validate() throws(ConfigurationError) {
    guard effectiveBasePrompts.count == effectiveTargetPrompts.count else {
      throw ConfigurationError(
        keyPath: "base_prompts",
        "\(effectiveBasePrompts.count) prompts for \(effectiveTargetPrompts.count) target prompts: one for each was "
          + "expected")
    }
    guard timesteps <= samplerSettings.steps else {
      throw ConfigurationError(
        keyPath: "timesteps", "\(timesteps) steps of \(samplerSettings.steps) inference steps cannot be looked at")
    }
  }
}

extension ConceptPruneConfiguration: Technique {
  public static let name = "concept_prune"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .mask, "ConceptPrune: prunes the concept's skilled neurons",
    paper: "Chavhan, Li and Hospedales, arXiv 2405.19237",
    cost: "the first steps of a picture for each target and base prompt")

  public func check(_ model: DiffusionModel) throws {
    let names = try ParameterGroup.feedForwardOutput.names(in: model.unetWeights)
    try neurons.check(rowLengths: names.compactMap { model.unetWeights[$0]?.extent(-1) })
  }

  private var neurons: SkilledNeurons { SkilledNeurons(skillRatio: skillRatio, selectRatio: selectRatio) }

  public func estimates(seed: UInt64) -> [Estimate] {
    [norms("target", effectiveTargetPrompts, seed: seed), norms("base", effectiveBasePrompts, seed: seed)]
  }

  private func norms(_ set: String, _ prompts: [String], seed: UInt64) -> Estimate {
    let norms = FeedForwardNorms(prompts: prompts, sampler: samplerSettings, steps: timesteps, seed: seed)
    return Estimate(name: "activations.\(set)", inputs: norms.inputs, work: norms.work) {
      try norms.values($0.model, monitor: $0.monitor)
    }
  }

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let (target, base) = (try context.estimate("activations.target"), try context.estimate("activations.base"))
    let names = try ParameterGroup.feedForwardOutput.names(in: context.model.unetWeights)
    try check(context.model)
    let neurons = neurons
    let chosen = try parallelMap(names.count) { index -> [Int] in
      guard let weight = context.model.unetWeights[names[index]], let target = target[names[index]],
        let base = base[names[index]]
      else { throw ErasureError("the activations of '\(names[index])' are missing") }
      return neurons.positions(weight, target: target, base: base)
    }
    var mask = PruningMask()
    var total = 0
    for (name, positions) in zip(names, chosen) {
      let count = context.model.unetWeights[name]?.count ?? 0
      mask.prune(positions, of: name, count: count)
      total += count
    }
    return ModelEdit(
      pruned: mask,
      details: [
        "ablated": .integer(mask.prunedCount), "share_of_modules": .number(Double(mask.prunedCount) / Double(total)),
        "share_of_unet": .number(Double(mask.prunedCount) / Double(context.model.unetWeights.parameterCount)),
        "ablated_by_tensor": .object(mask.elements.mapValues { .integer($0.count) }),
      ])
  }
}

/// Which weights of a feed-forward layer's second matrix draw the target prompts (arXiv 2405.19237, section 4).
public struct SkilledNeurons: Sendable {
  public var skillRatio: Double
  public var selectRatio: Double

  public init(skillRatio: Double, selectRatio: Double) {
    self.skillRatio = skillRatio
    self.selectRatio = selectRatio
  }

  /// Refuses a ratio above 0 at which every row is too short to have a skilled weight.
  ///
  /// - Throws: ``ErasureError`` that names the smallest ratio at which one has.
  func check(rowLengths: [Int]) throws {
    try refuseRatioWithoutEffect(skillRatio, longest: rowLengths.max() ?? 0, of: "row")
  }

  /// - Parameters:
  ///   - weight: (outputs, neurons)
  ///   - target, base: norms of the neurons, (steps, neurons)
  /// - Returns: positions in the weight, ascending
  public func positions(_ weight: Tensor, target: Tensor, base: Tensor) -> [Int] {
    let (neurons, steps) = (weight.shape[1], target.shape[0])
    let count = Int(skillRatio * Double(neurons))
    let (weights, target, base) = (weight.values, target.values, base.values)
    return (0..<weight.shape[0]).flatMap { row -> [Int] in
      let sizes = weights[row * neurons..<(row + 1) * neurons].map(abs)
      var skilled = [Int](repeating: 0, count: neurons)
      for step in 0..<steps {
        let scores = (0..<neurons).map { sizes[$0] * target[step * neurons + $0] }
        let highest = scores.withUnsafeBufferPointer { positionsOfLargest(count, in: $0) }
        for neuron in highest where scores[neuron] > sizes[neuron] * base[step * neurons + neuron] {
          skilled[neuron] += 1
        }
      }
      return (0..<neurons).filter { Double(skilled[$0]) > selectRatio * Double(steps) }.map { row * neurons + $0 }
    }
  }
}

private let publication = "arXiv 2405.19237"
