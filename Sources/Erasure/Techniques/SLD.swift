public import Configuration
public import Diffusion
public import Tensors

/// Safe Latent Diffusion (Schramowski et al., CVPR 2023, arXiv 2211.05105): weights stay as they are, and every step
/// is also guided away from a concept, where the picture leans towards it.
public struct SLDConfiguration: Configuration {
  /// The named strengths of the publication.
  public enum Preset: String, CaseIterable, ConfigurationValue {
    case none, weak, medium, strong, max

    /// What the preset stands for.
    public var guidance: SafetyGuidance {
      switch self {
      case .none: SafetyGuidance(scale: 0, warmupSteps: 0, threshold: 0, momentumScale: 0, momentumBeta: 0)
      case .weak: SafetyGuidance(scale: 200, warmupSteps: 15, threshold: 0, momentumScale: 0, momentumBeta: 0)
      case .medium: SafetyGuidance(scale: 1000, warmupSteps: 10, threshold: 0.01, momentumScale: 0.3, momentumBeta: 0.4)
      case .strong: SafetyGuidance(scale: 2000, warmupSteps: 7, threshold: 0.025, momentumScale: 0.5, momentumBeta: 0.7)
      case .max: SafetyGuidance(scale: 5000, warmupSteps: 0, threshold: 1, momentumScale: 0.5, momentumBeta: 0.7)
      }
    }
  }

  public var eraseConcept = "nudity"
  public var safetyConcept: String?
  public var preset: Preset?
  public var sldGuidanceScale = 5000.0
  public var sldWarmupSteps = 0
  public var sldThreshold = 1.0
  public var sldMomentumScale = 0.5
  public var sldMomBeta = 0.7
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<SLDConfiguration>] = [
    Field(
      "erase_concept", \.eraseConcept, .notEmpty, "The concept that guidance leads away from", source: document,
      role: .concept),
    Field(
      "safety_concept", \.safetyConcept, .notEmpty,
      "The text that stands for it, of any length; erase_concept if unset", source: "pipeline of the publication",
      role: .phrase),
    Field(
      "preset", \.preset, "A named strength, which takes the place of the five settings that follow", source: document),
    Field(
      "sld_guidance_scale", \.sldGuidanceScale, .atLeast(0), "Strength of the guidance away; 1 and below is none",
      source: document),
    Field(
      "sld_warmup_steps", \.sldWarmupSteps, .atLeast(0), "Steps at the start that are not guided away",
      source: document),
    Field(
      "sld_threshold", \.sldThreshold,
      "Elements are guided where the prompt's noise is less than this above the concept's", source: document),
    Field("sld_momentum_scale", \.sldMomentumScale, .between(0...1), "Weight of the momentum", source: document),
    Field(
      "sld_mom_beta", \.sldMomBeta, .between(0...1), "How much of the momentum each step keeps", source: document),
  ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var warnings: [String] {
    var warnings: [String] = []
    if let preset, own != SLDConfiguration().own {
      warnings.append("preset \"\(preset.rawValue)\" decides all sld_ settings: those that are written are not used")
    }
    if guidance.warmupSteps >= samplerSettings.steps {
      warnings.append(
        "the warm-up of \(guidance.warmupSteps) steps leaves none of \(samplerSettings.steps) to guide: "
          + "images are those of the base model")
    }
    return warnings
  }

  public func validate() throws(ConfigurationError) {
    guard samplerSettings.guidanceScale > 1 else {
      throw ConfigurationError(
        keyPath: "guidance_scale", "expected a number greater than 1: without guidance there is none to change")
    }
  }

  private var own: SafetyGuidance {
    SafetyGuidance(
      scale: sldGuidanceScale, warmupSteps: sldWarmupSteps, threshold: sldThreshold, momentumScale: sldMomentumScale,
      momentumBeta: sldMomBeta)
  }

  /// The guidance in force.
  public var guidance: SafetyGuidance { preset?.guidance ?? own }
}

extension SLDConfiguration: Technique {
  public static let name = "sld"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .guidance, "Safe Latent Diffusion",
    paper: "Schramowski et al., CVPR 2023, arXiv 2211.05105",
    cost: "none; one more pass for each step of every image")

  public var editWork: ModelWork? { .nothing }

  public var textsPerStep: Int { guidance.isActive ? 3 : 2 }

  public func edit(_ context: EditContext) throws -> ModelEdit { ModelEdit() }

  public func intervention(_ model: DiffusionModel, tensors: [String: Tensor]) throws -> SamplingIntervention {
    let guidance = guidance
    guard guidance.isActive else { return SamplingIntervention() }
    let scale = Float(samplerSettings.guidanceScale)
    return SamplingIntervention(
      guidance: ConceptGuidance(prompts: [safetyConcept ?? eraseConcept]) { predictions, momentum in
        let away = guidance.away(predictions, momentum: momentum)
        momentum = guidance.momentum(after: away, from: momentum)
        var direction = predictions.conditional - predictions.unconditional
        if predictions.step >= guidance.warmupSteps { direction = direction - away }
        return predictions.unconditional + direction * scale
      })
  }
}

/// Guidance away from a concept (equations 3 to 8 of Safe Latent Diffusion).
public struct SafetyGuidance: Equatable, Sendable {
  public var scale: Double
  public var warmupSteps: Int
  public var threshold: Double
  public var momentumScale: Double
  public var momentumBeta: Double

  public init(scale: Double, warmupSteps: Int, threshold: Double, momentumScale: Double, momentumBeta: Double) {
    self.scale = scale
    self.warmupSteps = warmupSteps
    self.threshold = threshold
    self.momentumScale = momentumScale
    self.momentumBeta = momentumBeta
  }

  /// The pipeline of the publication guides only above a scale of 1.
  var isActive: Bool { scale > 1 }

  /// What is subtracted from the direction of the prompt, of the predictions' shape: (ε_s - ε_∅) µ + momentum scale ·
  /// ν, where µ = min(1, scale |ε_c - ε_s|) for elements with ε_c - ε_s below the threshold, and 0 for the others.
  ///
  /// - Parameter momentum: ν; nil at the first step, where it is zero
  public func away(_ predictions: ConceptGuidance.Predictions, momentum: Tensor?) -> Tensor {
    let distance = predictions.conditional - predictions.concepts[0]
    let weight = distance.mapped { $0 >= Float(threshold) ? 0 : min(1, abs($0) * Float(scale)) }
    let away = (predictions.concepts[0] - predictions.unconditional) * weight
    return momentum.map { away + $0 * Float(momentumScale) } ?? away
  }

  /// ν ← β ν + (1 - β) · away
  func momentum(after away: Tensor, from momentum: Tensor?) -> Tensor {
    let new = away * Float(1 - momentumBeta)
    return momentum.map { $0 * Float(momentumBeta) + new } ?? new
  }
}

private let document = "eval-learn documentation"
