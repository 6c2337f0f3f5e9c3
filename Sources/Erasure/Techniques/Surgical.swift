public import Configuration
public import Diffusion
internal import Foundation
public import Tensors

/// All but One, surgical concept erasing (Hong, Lee and Woo, AAAI 2024, arXiv 2312.12807): the model learns the
/// guidance of a replacement under prompts of the concept, and is held to its own prediction without a prompt.
///
/// The replacement is a concept of its own (equation 12), or the concept changed by an erasing signal δ (equation 13,
/// with the sign of algorithm 1): explicit, of instruction concepts, or implicit, by weakening the attention to the
/// concept.
public struct SurgicalConfiguration: Configuration {
  /// What the concept's guidance is replaced by.
  public enum Signal: String, CaseIterable, ConfigurationValue {
    /// The guidance of `replacement_concept` (equation 12).
    case replacement
    /// The concept's own and δ of the instruction concepts (equation 13).
    case explicit
    /// The concept's own and δ of weakened attention (supplement).
    case implicit
  }

  /// How the warm-up counts steps.
  public enum WarmupCounting: String, CaseIterable, ConfigurationValue {
    /// The first steps executed are left out, as in Semantic Guidance.
    case elapsed
    /// The last of the countdown T ... 1 are left out, as the paper's formula says.
    case countdown
  }

  public var eraseConcept = "nudity"
  public var erasePrompts: [String]?
  public var signal = Signal.explicit
  public var replacementConcept: String?
  public var instructionConcepts: [[String: JSON]] = [
    ["prompt": "sexual", "guidance": -7.5], ["prompt": "bikini", "guidance": 6.5], ["prompt": "pants", "guidance": 6.5],
  ]
  public var warmupSteps = 5
  public var warmupCounting = WarmupCounting.elapsed
  public var attentionFactor = 0.0
  public var teacherScale = 7.5
  public var studentScale = 7.5
  public var penalty = 5.0
  public var samplingSteps = 35
  public var trainMethod = ParameterGroup.attentionOutputs
  public var trainSteps = 200
  public var learningRate = 1e-5
  public var batchSize = 1
  public var adamWeightDecay = 0.01
  public var adamEpsilon = 1e-8
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<SurgicalConfiguration>] = [
    .eraseConcept(\.eraseConcept),
    .erasePrompts(\.erasePrompts),
    Field(
      "erasing_signal", \.signal,
      "What the concept's guidance is replaced by: the guidance of replacement_concept, or the concept's own and the "
        + "signal of instruction_concepts (explicit) or of weakened attention (implicit)", source: paper),
    Field(
      "replacement_concept", \.replacementConcept,
      "What is put in erase_concept's place in the prompts; \"\" takes it out", source: paper, role: .phrase),
    Field(
      "instruction_concepts", \.instructionConcepts, .notEmpty,
      "Concepts that the explicit signal leads away from or to, each an object of prompt, guidance, percentile, t_high "
        + "and t_low", source: "\(paper), equation 23"
    ).holding(InstructionConcept.self),
    Field(
      "warmup_steps", \.warmupSteps, .atLeast(0), "Steps without the explicit signal", source: paper),
    Field(
      "warmup_counting", \.warmupCounting,
      "Whether these are the first steps executed (elapsed) or the last of the countdown", source: paper),
    Field(
      "attention_factor", \.attentionFactor, .between(0...1),
      "What the implicit signal multiplies the attention to the concept's tokens by; 0 suppresses it",
      source: "own; the paper states none"),
    Field(
      "gamma_1", \.teacherScale, .greaterThan(1), "Guidance scale of the frozen model", source: paper),
    Field("gamma_2", \.studentScale, .greaterThan(0), "Guidance scale of the model that learns", source: paper),
    Field(
      "lambda", \.penalty, .atLeast(0),
      "The weight of staying at the frozen model's prediction without a prompt; the supplement says 1, and 0 for "
        + "concept purification", source: paper),
    Field("sampling_steps", \.samplingSteps, .between(1...1000), "DDIM steps T of a trajectory", source: paper),
    .trainMethod(
      \.trainMethod, "The weights that learn; to_out keeps the attention maps, xattn is what purification takes",
      source: paper),
    .trainSteps(\.trainSteps, source: paper),
    .learningRate(\.learningRate, source: paper),
    .batchSize(\.batchSize, source: paper),
    .adamWeightDecay(\.adamWeightDecay, source: "PyTorch's default: the paper states none"),
    .adamEpsilon(\.adamEpsilon, source: paper),
    .savePath(\.savePath),
    .loadPath(\.loadPath),
  ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public func validate() throws(ConfigurationError) {
    for (index, concept) in instructionConcepts.enumerated() {
      let parsed = try InstructionConcept.parse(.object(concept), keyPath: "instruction_concepts.\(index)")
      guard !parsed.prompt.isEmpty else {
        throw ConfigurationError(keyPath: "instruction_concepts.\(index).prompt", "must be set")
      }
    }
    if loadPath != nil { return }
    if signal == .replacement, replacementConcept == nil {
      throw ConfigurationError(
        keyPath: "replacement_concept", "must be set for the erasing signal \"replacement\"")
    }
    if signal != .replacement, replacementConcept != nil {
      throw ConfigurationError(
        keyPath: "replacement_concept", "has no part in the erasing signal \"\(signal.rawValue)\"")
    }
    if signal != .explicit {
      for (index, prompt) in effectivePrompts.enumerated()
      where prompt.range(of: eraseConcept, options: .caseInsensitive) == nil {
        throw ConfigurationError(
          keyPath: "erase_prompts.\(index)", "\"\(prompt)\" does not contain the erase_concept \"\(eraseConcept)\"")
      }
    }
  }

  /// Instruction concepts belong to the explicit signal alone.
  public var inForce: [String: JSON] { signal == .explicit ? [:] : ["instruction_concepts": .null] }

  public var warnings: [String] {
    guard loadPath == nil, signal == .implicit else { return [] }
    return ["the implicit erasing signal is unstable, as its authors say; instruction concepts are the safer way"]
  }

  /// The target concept set.
  public var effectivePrompts: [String] { erasePrompts ?? [eraseConcept] }
}

extension SurgicalConfiguration: Technique {
  public static let name = "surgical"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .weights, "Surgical, \"All but One\"",
    paper: "Hong, Lee and Woo, AAAI 2024, arXiv 2312.12807",
    cost: "for each sample half a run of sampling_steps under the prompt, the empty one and each instruction concept, "
      + "and a forward and a backward pass")

  public var trainingMemory: TrainingMemory? {
    TrainingMemory(.weights, of: trainMethod, samples: batchSize)
  }

  /// For each sample half a run and a pass of the frozen model, both under the texts of the signal too, and a gradient
  /// under the concept and the empty prompt.
  public var editWork: ModelWork? {
    if loadPath != nil { return .nothing }
    let signals =
      switch signal {
      case .replacement: 0
      case .explicit: instructionConcepts.count
      case .implicit: 1
      }
    let point = PartialTrajectory.work(steps: samplingSteps, startGuidance: teacherScale, texts: 2 + signals)
    return (point + ModelWork(forwards: Double(2 + signals), gradients: 2)) * (trainSteps * batchSize)
  }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let (model, batch) = (context.model, batchSize)
    let teachers = try effectivePrompts.map { try teacher(of: $0, model) }
    let stream = RandomStream(seed: context.seed, "surgical")
    let trained = try trainMethod.tensors(in: model.unetWeights)
    let result = try training.run(context, start: trained, prepare: { _, _ in }) { step, sample, _, tensors in
      let stream = stream.item(step * batch + sample)
      let teacher = teachers[stream.substream("prompt").integer(below: teachers.count)]
      let student = try UNet2DConditionModel(model.unet.config, model.unetWeights.replacing(tensors))
      return loss(of: student, on: try teacher.lesson(stream))
    }
    return ModelEdit(
      replacedUNetTensors: result.tensors, details: ChangeFigures(result.tensors, from: model.unetWeights).json)
  }

  /// L_concept + λ L_penalty (equations 12 and 13, means over elements), with no gradient of the first through the
  /// prediction without a prompt.
  public func loss(of student: UNet2DConditionModel, on lesson: SurgicalTeacher.Lesson) -> Tensor {
    let predicted = lesson.schedule.noise(
      predicted: student(
        lesson.latent, time: student.prepare(timesteps: [lesson.timestep]), text: student.prepare(text: lesson.states)),
      in: lesson.latent, timestep: lesson.timestep)
    let (unconditional, conditional) = (predicted.slice(axis: 0, 0..<1), predicted.slice(axis: 0, 1..<2))
    let direction = (conditional - unconditional.detached) * Float(studentScale)
    return mseLoss(direction, lesson.direction) + mseLoss(unconditional, lesson.unconditional) * Float(penalty)
  }

  /// The frozen model's part for one prompt of the target concept set.
  ///
  /// - Throws: ``ErasureError`` where the prompt does not name the concept that the signal acts on, `SamplingError` for
  ///   steps that the model cannot follow.
  public func teacher(of prompt: String, _ model: DiffusionModel) throws -> SurgicalTeacher {
    var source = ErasingSignal.Source.none
    var shown = prompt
    switch signal {
    case .replacement:
      shown = prompt.replacingOccurrences(
        of: eraseConcept, with: replacementConcept ?? "", options: .caseInsensitive)
    case .explicit:
      source = .explicit(
        try instructionConcepts.map { try InstructionConcept.parse(.object($0)) },
        ErasingSignal.Windows(
          steps: samplingSteps, warmup: warmupSteps, countsElapsed: warmupCounting == .elapsed))
    case .implicit:
      let positions = try conceptPositions(of: eraseConcept, in: prompt, model.tokenizer).flatMap { $0 }
      source = .implicit(prompt: prompt, positions: positions, factor: Float(attentionFactor))
    }
    return try SurgicalTeacher(
      model, ErasingSignal(source, scale: Float(teacherScale)), prompt: prompt, shown: shown, steps: samplingSteps)
  }

  private var training: FineTuning {
    FineTuning(
      steps: trainSteps, learningRate: learningRate,
      optimizer: AdamOptimizer.Settings(epsilon: Float(adamEpsilon), weightDecay: Float(adamWeightDecay)),
      batchSize: batchSize)
  }
}

/// The frozen model of surgical erasing: the latents of its guided trajectories, and what it says there.
public struct SurgicalTeacher {
  /// What a student is asked and what it should say.
  public struct Lesson {
    /// (1, channels, height, width)
    public let latent: Tensor
    public let timestep: Int
    /// What tells the noise from a prediction in the latent.
    let schedule: NoiseSchedule
    /// Of the empty prompt and the concept's, (2, positions, width).
    public let states: Tensor
    /// ε*(∅), as the latent.
    public let unconditional: Tensor
    /// γ1 (ε*(c') - ε*(∅)) + δ, as the latent.
    public let direction: Tensor
  }

  private let model: DiffusionModel
  private let signal: ErasingSignal
  private let trajectory: PartialTrajectory
  /// The prompt that the trajectory follows, the replacement's where there is one.
  private let shown: String
  private let states: Tensor
  /// The empty prompt, those of the signal, and the one that is shown.
  private let texts: PreparedText

  /// - Parameters:
  ///   - prompt: what the student is asked with
  ///   - shown: what the frozen model is asked with
  public init(_ model: DiffusionModel, _ signal: ErasingSignal, prompt: String, shown: String, steps: Int) throws {
    func states(_ prompt: String) -> Tensor { model.textEncoder([model.tokenizer.encode(prompt)]) }
    var guided = model
    guided.intervention = signal.intervention
    self.model = model
    self.signal = signal
    self.shown = shown
    trajectory = try PartialTrajectory(guided, steps: steps, startGuidance: Double(signal.scale))
    self.states = concatenate([states(""), states(prompt)], axis: 0)
    texts = .batch(([""] + signal.prompts + [shown]).map { model.unet.prepare(text: states($0)) })
  }

  /// The latent after a random number of steps, 0 to one less than those of a run (algorithm 1, lines 3 to 10), and the
  /// predictions there.
  public func lesson(_ stream: RandomStream) throws -> Lesson {
    let point = try trajectory.point(shown, stream)
    let time = model.unet.prepare(timesteps: [point.timestep])
    let predicted = model.schedule.noise(
      predicted: model.unet(point.latent, time: time, text: texts, hooks: signal.hooks), in: point.latent,
      timestep: point.timestep)
    let parts = (0..<texts.count).map { predicted.slice(axis: 0, $0..<$0 + 1) }
    return Lesson(
      latent: point.latent, timestep: point.timestep, schedule: model.schedule, states: states,
      unconditional: parts[0],
      direction: signal.direction(
        step: point.step, unconditional: parts[0], conditional: parts[parts.count - 1],
        concepts: Array(parts[1..<parts.count - 1])))
  }
}

private let paper = "arXiv 2312.12807"
