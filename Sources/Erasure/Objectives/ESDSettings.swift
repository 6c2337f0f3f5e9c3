public import Configuration
internal import Diffusion

/// What decides a training of Erased Stable Diffusion (methods 1.3); the techniques that begin with one, or train masks
/// with its loss, hold these settings beside their own.
public struct ESDSettings: Configuration, Equatable {
  /// The prediction that the erased model should make: two public scripts differ in what is steered away from the
  /// concept, and so count the negative guidance η differently. At η of 2023 + 1 = η of 2025 they agree.
  public enum Target: String, CaseIterable, ConfigurationValue {
    /// ε(∅) - η (ε(c) - ε(∅))
    case fromUnconditional = "2023"
    /// ε(c) - η (ε(c) - ε(∅)), or with c' of `erase_from` ε(c') - η (ε(c) - ε(∅))
    case fromConditional = "2025"
  }

  /// Which model draws the trajectories that latents are taken from.
  public enum SampledModel: String, CaseIterable, ConfigurationValue {
    /// The base model, as in the script of 2025.
    case frozen
    /// The model that is being trained, as in the script of 2023.
    case trained
  }

  public var eraseConcept = "nudity"
  public var eraseConcepts: [String]?
  public var erasePrompts: [String]?
  public var eraseFrom: String?
  public var trainMethod = ParameterGroup.allButCrossAttention
  public var target = Target.fromConditional
  public var negativeGuidance = 2.0
  public var sampledModel = SampledModel.frozen
  public var startGuidance = 3.0
  public var timestepPairing = TimestepPairing.next
  public var trainSteps = 200
  public var learningRate = 5e-5
  public var batchSize = 1

  public init() {}

  /// Names for several concepts at once, and what the script of 2023 erases for each: of "i2p", the categories of
  /// inappropriate image prompts (Schramowski et al., 2023).
  public static let wordLists = [
    "i2p": [
      "hate", "harassment", "violence", "suffering", "humiliation", "harm", "suicide", "sexual", "nudity",
      "bodily fluids", "blood",
    ]
  ]

  /// The prompts that are erased; every sample draws one.
  public var prompts: [String] { erasePrompts ?? Self.words(of: [eraseConcept] + (eraseConcepts ?? [])) }

  private static func words(of concepts: [String]) -> [String] { concepts.flatMap { wordLists[$0] ?? [$0] } }

  /// What the training holds where it trains the weights themselves.
  var trainingMemory: TrainingMemory { TrainingMemory(.weights, of: trainMethod, samples: batchSize) }

  /// What the training takes: for each sample a point of a trajectory, the target's texts, and a gradient.
  ///
  /// - Parameter steps: DDIM steps of a whole trajectory
  func work(steps: Int) -> ModelWork {
    let sample =
      PartialTrajectory.work(steps: steps, startGuidance: startGuidance, pairing: timestepPairing)
      + ModelWork(forwards: eraseFrom == nil ? 2 : 3, gradients: 1)
    return sample * (trainSteps * batchSize)
  }

  public var inForce: [String: JSON] {
    [
      "erase_concept": Self.words(of: [eraseConcept]).json,
      "erase_concepts": eraseConcepts.map(Self.words(of:)).json,
    ]
  }

  public static let fields: [Field<ESDSettings>] = [
    .eraseConcept(
      \.eraseConcept,
      "The concept to erase, or \"i2p\" for the script's eleven words of inappropriate images, one for each sample"),
    .eraseConcepts(\.eraseConcepts, source: script2023),
    .erasePrompts(\.erasePrompts),
    Field(
      "erase_from", \.eraseFrom, .notEmpty,
      "The concept that an attribute is erased from: trajectories, training and the target's base follow this prompt; "
        + "only with target_form 2025",
      source: script2025, role: .prompt),
    .trainMethod(\.trainMethod, "The weights that learn", source: "\(script2023), \(script2025)"),
    Field(
      "target_form", \.target,
      "What the negative guidance is taken from: the unconditional prediction (2023) or the conditional one (2025); "
        + "they agree where the latter's negative_guidance is greater by 1",
      source: "\(script2023), \(script2025)"),
    Field(
      "negative_guidance", \.negativeGuidance, .atLeast(0),
      "How far the target is steered away from the concept; the scripts' values are 1 (2023) and 2 (2025)",
      source: script2025),
    Field(
      "sampled_model", \.sampledModel,
      "The model that draws the trajectories: frozen (2025) is the base model, trained (2023) the one that learns",
      source: "\(script2023), \(script2025)"),
    .startGuidance(\.startGuidance, source: "\(script2023), \(script2025)"),
    .timestepPairing(\.timestepPairing, source: "\(script2023), \(script2025)"),
    .trainSteps(\.trainSteps, source: script2025),
    .learningRate(\.learningRate, source: script2025),
    .batchSize(\.batchSize, source: script2025),
  ]

  public var warnings: [String] {
    var warnings: [String] = []
    if target == .fromConditional, negativeGuidance <= 1 {
      warnings.append(
        "negative_guidance is \(negativeGuidance.json.canonical()), which with target_form 2025 steers towards the "
          + "concept or to the unconditional prediction; the script's value is 2")
    }
    if erasePrompts != nil, eraseConcepts != nil {
      warnings.append("erase_prompts takes the place of erase_concept and erase_concepts in training")
    }
    return warnings
  }

  public func validate() throws(ConfigurationError) {
    if eraseFrom != nil, target == .fromUnconditional {
      throw ConfigurationError(keyPath: "erase_from", "is a part of target_form 2025 alone, and target_form is 2023")
    }
  }
}

private let script2023 = "arXiv 2303.07345, script of 2023"
private let script2025 = "arXiv 2303.07345, script of 2025"
