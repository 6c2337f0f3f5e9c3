public import Configuration
public import Diffusion
public import Tensors

/// Safe self-Distillation Diffusion (Kim et al., 2023, arXiv 2307.05977; methods 1.16): the prediction under the
/// concept learns to be the model's own unconditional one, at points of trajectories that a moving average of the model
/// draws; that average is the result.
public struct SDDConfiguration: Configuration {
  /// Which of several concepts an iteration erases.
  public enum ConceptMethod: String, CaseIterable, ConfigurationValue {
    /// One after the other, again and again.
    case iterative
    /// A random one for each sample.
    case random
    /// All of them in one prompt, with commas between.
    case composite
    /// One after the other, each for its share of the iterations.
    case sequential

    /// The place, among `concepts`, of the concept that a sample of an iteration erases.
    public func place(at iteration: Int, of iterations: Int, concepts: Int, _ stream: RandomStream) -> Int {
      switch self {
      case .iterative: iteration % concepts
      case .random: stream.substream("prompt").integer(below: concepts)
      case .composite: 0
      case .sequential: iteration * concepts / iterations
      }
    }
  }

  public var eraseConcept = "nudity"
  public var eraseConcepts: [String]?
  public var erasePrompts: [String]?
  public var conceptMethod = ConceptMethod.iterative
  public var trainMethod = ParameterGroup.crossAttention
  public var startGuidance = 3.0
  public var timestepPairing = TimestepPairing.bin
  public var trainSteps = 1500
  public var learningRate = 1e-5
  public var batchSize = 1
  public var adamWeightDecay = 1e-4
  public var maxGradNorm = 1.0
  public var emaDecay = 0.999
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  /// The prompts that are erased.
  public var prompts: [String] { erasePrompts ?? [eraseConcept] + (eraseConcepts ?? []) }

  public static let fields: [Field<SDDConfiguration>] = [
    .eraseConcept(\.eraseConcept),
    .eraseConcepts(\.eraseConcepts, source: script),
    .erasePrompts(\.erasePrompts),
    Field(
      "concept_method", \.conceptMethod,
      "Which of several concepts an iteration erases: one after the other (iterative), any (random), all in one prompt "
        + "(composite), each for its share of the iterations (sequential)",
      source: script),
    .trainMethod(\.trainMethod, "The weights that learn", source: script),
    .startGuidance(\.startGuidance, source: script),
    .timestepPairing(\.timestepPairing, source: script),
    .trainSteps(\.trainSteps, source: script),
    .learningRate(\.learningRate, source: script),
    .batchSize(\.batchSize, source: script),
    .adamWeightDecay(\.adamWeightDecay, source: script),
    .maxGradNorm(\.maxGradNorm, source: script),
    Field(
      "ema_decay", \.emaDecay, .between(0...1),
      "Decay of the moving average that draws the trajectories and is the result; short trainings need a smaller one",
      source: script),
    .savePath(\.savePath),
    .loadPath(\.loadPath),
  ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var warnings: [String] {
    guard loadPath == nil else { return [] }
    if Double(trainSteps) * (1 - emaDecay) >= 1 { return [] }
    return [
      "ema_decay is \(emaDecay.json.canonical()), which keeps most of the base model over \(trainSteps) iterations"
    ]
  }
}

extension SDDConfiguration: Technique {
  public static let name = "sdd"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .weights, "Safe self-Distillation Diffusion",
    paper: "Kim, Jung, Kim, Choi, Shin and Lee, 2023, arXiv 2307.05977",
    cost: "for each training sample half a guided drawing, two forward passes and a backward pass")

  public func estimates(seed: UInt64) -> [Estimate] {
    guard loadPath == nil else { return [] }
    return [
      Estimate(
        name: "sdd",
        inputs: [
          "prompts": .array(prompts.map(JSON.string)), "concept_method": conceptMethod.json,
          "train_method": trainMethod.json, "start_guidance": startGuidance.json,
          "timestep_pairing": timestepPairing.json, "train_steps": trainSteps.json, "learning_rate": learningRate.json,
          "batch_size": batchSize.json, "adam_weight_decay": adamWeightDecay.json,
          "max_grad_norm": maxGradNorm.json, "ema_decay": emaDecay.json,
          "num_inference_steps": samplerSettings.steps.json, "seed": .integer(Int(seed)),
        ], work: work, sourceFile: Self.sourceFile
      ) { context in try trained(context) }
    ]
  }

  /// For each sample a point of a trajectory, a pass and a gradient.
  private var work: ModelWork {
    let point = PartialTrajectory.work(
      steps: samplerSettings.steps, startGuidance: startGuidance, pairing: timestepPairing)
    return (point + ModelWork(forwards: 1, gradients: 1)) * (trainSteps * batchSize)
  }

  /// A latent, and what the student is to predict there.
  private struct Sample {
    let latent: Tensor
    let timestep: Int
    let states: Tensor
    let target: Tensor
  }

  private func trained(_ context: EditContext) throws -> [String: Tensor] {
    let base = context.model
    func states(_ prompt: String) -> Tensor { base.textEncoder([base.tokenizer.encode(prompt)]) }
    func noise(_ student: UNet2DConditionModel, _ latent: Tensor, _ timestep: Int, _ states: Tensor) -> Tensor {
      base.schedule.noise(
        predicted: student(latent, timesteps: [timestep], encoderHiddenStates: states), in: latent, timestep: timestep)
    }
    let composite = prompts.joined(separator: ", ")
    let concepts = (conceptMethod == .composite ? [composite] : prompts).map(states)
    let empty = states("")
    let stream = RandomStream(seed: context.seed, "sdd")
    let names = try trainMethod.names(in: base.unetWeights)
    let training = FineTuning(
      steps: trainSteps, learningRate: learningRate,
      optimizer: AdamOptimizer.Settings(weightDecay: Float(adamWeightDecay)), batchSize: batchSize,
      maximumNorm: Float(maxGradNorm), averageDecay: Float(emaDecay), rampsAverage: false)
    let result = try training.run(
      context, start: names.reduce(into: [:]) { $0[$1] = base.unetWeights[$1] },
      prepare: { iteration, tensors, averages in
        let student = try UNet2DConditionModel(base.unet.config, base.unetWeights.replacing(tensors))
        let teacher = try PartialTrajectory(
          base.replacingUNetWeights(averages()), steps: samplerSettings.steps, startGuidance: startGuidance,
          pairing: timestepPairing, isCancelled: context.monitor.isCancelled)
        return try mapOnThreads(batchSize) { index in
          let own = stream.item(iteration * batchSize + index)
          let point = try teacher.point(composite, own)
          let concept = conceptMethod.place(at: iteration, of: trainSteps, concepts: concepts.count, own)
          return Sample(
            latent: point.latent, timestep: point.timestep, states: concepts[concept],
            target: noise(student, point.latent, point.timestep, empty))
        }
      },
      loss: { _, index, samples, tensors in
        let sample = samples[index]
        let student = try UNet2DConditionModel(base.unet.config, base.unetWeights.replacing(tensors))
        return mseLoss(noise(student, sample.latent, sample.timestep, sample.states), sample.target)
      })
    return result.tensors
  }

  public var trainingMemory: TrainingMemory? {
    TrainingMemory(.averagedWeights, of: trainMethod, samples: batchSize)
  }

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let trained = try context.estimate("sdd")
    return ModelEdit(
      replacedUNetTensors: trained, details: ChangeFigures(trained, from: context.model.unetWeights).json)
  }
}

private let script = "arXiv 2307.05977, train_sdd.py"
