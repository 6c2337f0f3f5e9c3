public import Configuration

/// Selective Synaptic Dampening (Foster, Schoepf and Brintrup, AAAI 2024, arXiv 2308.07707) for diffusion UNets: every
/// parameter is scaled down by how much more the concept needs it than everything else does.
///
/// This is the smooth form: with the diagonal Fisher estimates F_f of the forget prompts and F_r of the retain prompts,
/// ratio = F_r / (F_r + alpha · F_f), and a parameter is multiplied by max(0, 1 - dampening_coeff · (1 - ratio)).
public struct SSDConfiguration: Configuration {
  public var eraseConcept = "nudity"
  public var forgetPrompts: [String]?
  public var retainPrompts: [String]?
  public var alpha = 1.0
  public var dampeningCoeff = 1.0
  public var numFisherSamples = 50
  public var savePath: String?
  public var loadPath: String?
  public var numInferenceSteps: Int?
  public var guidanceScale: Double?
  public var useFP16 = true
  public var device: Device?

  public init() {}

  /// The prompts that F_forget is estimated on.
  public var effectiveForgetPrompts: [String] { forgetPrompts ?? [eraseConcept] }

  /// The prompts that F_retain is estimated on.
  public var effectiveRetainPrompts: [String] { retainPrompts ?? ["", "a photo", "an image"] }

  public static let fields: [Field<SSDConfiguration>] = [
    Field(
      "erase_concept", \.eraseConcept, .notEmpty,
      "The concept to forget; the forget prompt if forget_prompts is not set", source: document, role: .concept),
    Field(
      "forget_prompts", \.forgetPrompts, .notEmpty,
      "Varied phrasings of the concept, to estimate F_forget on; 5 to 10 are recommended; [erase_concept] if unset",
      source: document, role: .prompt),
    Field(
      "retain_prompts", \.retainPrompts, .notEmpty,
      "Diverse benign prompts, to estimate F_retain on; 10 to 20 are recommended; "
        + "[\"\", \"a photo\", \"an image\"] if unset",
      source: document, role: .prompt),
    Field(
      "alpha", \.alpha, .greaterThan(0),
      "How far F_forget outweighs F_retain in the ratio F_retain / (F_retain + alpha F_forget); 1 to 20 is recommended",
      source: document),
    Field(
      "dampening_coeff", \.dampeningCoeff, .greaterThan(0),
      "Scales the dampening: 1 applies the raw ratio, less weakens it, more strengthens it with multipliers kept above 0",
      source: document),
    Field(
      "num_fisher_samples", \.numFisherSamples, .atLeast(1),
      "Noise samples for each prompt when a Fisher diagonal is estimated", source: document),
    Field(
      "save_path", \.savePath, weightsFile,
      "Where to save the dampened UNet weights", source: document, affectsResult: false, role: .path),
    Field(
      "load_path", \.loadPath, weightsFile,
      "Dampened UNet weights to load instead of estimating anything", source: document, role: .path),
    .numInferenceSteps(\.numInferenceSteps),
    .guidanceScale(\.guidanceScale),
    .useFP16(\.useFP16),
    .device(\.device),
  ]

  public var warnings: [String] {
    var warnings: [String] = []
    if loadPath == nil, forgetPrompts == nil {
      warnings.append(
        "forget_prompts is not set: F_forget is estimated on \"\(eraseConcept)\" alone; "
          + "5 to 10 phrasings cover more of the concept")
    }
    if loadPath == nil, retainPrompts == nil {
      warnings.append(
        "retain_prompts is not set: F_retain is estimated on \"\", \"a photo\" and \"an image\"; "
          + "10 to 20 diverse prompts protect more of the model")
    }
    if alpha > 20 {
      warnings.append(
        "alpha is \(alpha.json.canonical()), above 20: nearly every parameter serves every concept, "
          + "so the model is likely to collapse")
    }
    if dampeningCoeff > 1 {
      warnings.append(
        "dampening_coeff is \(dampeningCoeff.json.canonical()), above 1: "
          + "parameters whose multiplier would be negative are set to zero")
    }
    return warnings
  }
}

private let document = "seed document 000"

private let weightsFile = Rule<String>("ending in .safetensors or .pt") {
  $0.hasSuffix(".safetensors") || $0.hasSuffix(".pt")
}
