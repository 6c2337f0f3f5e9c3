public import Configuration
internal import Diffusion

/// What decides a training of concept ablation (methods 1.4): AC holds these settings beside its own, and so does P-AC,
/// which trains masks with the same loss.
public struct AblationSettings: Configuration, Equatable {
  public var eraseConcept = "nudity"
  public var anchorConcept: String?
  public var conceptType = ConceptType.object
  public var anchorPrompts: [String]?
  public var trainSize = 200
  public var hflip = false
  public var geometricAugmentation = false
  public var lossType = ConceptAblation.LossType.modelBased
  public var anchorModel = ConceptAblation.AnchorModel.current
  public var withPriorPreservation = false
  public var priorLossWeight = 1.0
  public var trainSteps = 400
  public var learningRate = 1e-5
  public var batchSize = 4

  public init() {}

  public static let fields: [Field<AblationSettings>] = [
    .eraseConcept(\.eraseConcept),
    Field(
      "anchor_concept", \.anchorConcept, .notEmpty,
      "What takes the concept's place; \"*\" where the whole anchor prompt does; "
        + "\"a person wearing clothes\" for nudity if unset, and to be set for every other object",
      source: document, role: .phrase),
    Field(
      "concept_type", \.conceptType,
      "How anchor prompts become prompts of the concept: a style is added, everything else replaces the anchor's words",
      source: script),
    Field(
      "anchor_prompts", \.anchorPrompts, .each(.notEmpty),
      "Prompts of the anchor images, each with anchor_concept in it for an object; [anchor_concept] if unset",
      source: script, role: .prompt),
    Field("train_size", \.trainSize, .atLeast(1), "Anchor images drawn", source: script),
    Field("hflip", \.hflip, "Mirror half of the samples of anchor images", source: script),
    Field(
      "geometric_augmentation", \.geometricAugmentation,
      "Shrink anchor images into padding or enlarge and crop them, and count the loss inside the image alone; the "
        + "script does it for objects unless told --noaug, and not for styles", source: script),
    Field(
      "loss_type_reverse", \.lossType,
      "model-based draws the concept's prediction to the anchor's, noise-based to the noise itself", source: script),
    Field(
      "anchor_model", \.anchorModel,
      "Whose prediction the model-based loss goes to: the current model's without a gradient (AC's scripts), or the "
        + "original's (P-AC's equation 3)", source: "\(script); seed document 001"),
    Field(
      "with_prior_preservation", \.withPriorPreservation, "Also train on anchor images under their own prompts",
      source: script),
    Field(
      "prior_loss_weight", \.priorLossWeight, .atLeast(0),
      "The weight of that loss: 1 in the diffusers script, 0.2 in the CompVis one", source: script),
    .trainSteps(\.trainSteps, source: document),
    .learningRate(\.learningRate, source: document),
    .batchSize(\.batchSize, source: script),
  ]

  /// The anchor; empty for a style without one.
  public var effectiveAnchor: String {
    anchorConcept ?? (eraseConcept == "nudity" ? "a person wearing clothes" : "")
  }

  public var effectiveAnchorPrompts: [String] { anchorPrompts ?? [effectiveAnchor] }

  public var warnings: [String] {
    guard anchorPrompts == nil else { return [] }
    return [
      "anchor_prompts is not set: all anchor images are of \"\(effectiveAnchor)\" alone; the paper takes 200 prompts "
        + "that name the anchor"
    ]
  }

  public func validate() throws(ConfigurationError) {
    if geometricAugmentation, conceptType == .style {
      throw ConfigurationError(
        keyPath: "geometric_augmentation", "is for objects: of a style, hflip is the augmentation there is")
    }
    if effectiveAnchor.isEmpty, conceptType != .style {
      throw ConfigurationError(
        keyPath: "anchor_concept", "must be set: it is what the model draws in place of \"\(eraseConcept)\"")
    }
    if anchorPrompts == nil, effectiveAnchor.isEmpty || effectiveAnchor == "*" {
      throw ConfigurationError(
        keyPath: "anchor_prompts", "must be set where no anchor_concept says what the anchor images show")
    }
    for (index, prompt) in effectiveAnchorPrompts.enumerated() {
      do {
        _ = try ablation.targetPrompts(prompt)
      } catch {
        throw ConfigurationError(keyPath: "anchor_prompts.\(index)", error.description)
      }
    }
  }

  /// What the samples see of the anchor images.
  public var augmentation: ImageAugmentation {
    ImageAugmentation(mirrors: hflip, scales: geometricAugmentation)
  }

  /// What is trained on and towards.
  public var ablation: ConceptAblation {
    ConceptAblation(
      concept: eraseConcept, anchor: effectiveAnchor, conceptType: conceptType, anchorPrompts: effectiveAnchorPrompts,
      lossType: lossType, priorWeight: withPriorPreservation ? Float(priorLossWeight) : nil)
  }

  /// What the training takes beside the anchor images: for each sample a gradient, the anchor's prediction where the
  /// loss goes to one, and a second gradient for prior preservation.
  var work: ModelWork {
    let sample = ModelWork(
      forwards: lossType == .modelBased ? 1 : 0, gradients: withPriorPreservation ? 2 : 1)
    return sample * (trainSteps * batchSize)
  }

  /// The name of ``anchorEstimate(_:seed:)``.
  static let anchorLatentsName = "anchor_latents"

  /// The stage that draws the anchor images, one for all techniques that ablate towards them.
  func anchorEstimate(_ sampler: SamplerSettings, seed: UInt64) -> Estimate {
    anchorLatents(sampler, seed: seed).estimate(named: Self.anchorLatentsName)
  }

  /// The anchor images, image i of prompt i modulo their number.
  private func anchorLatents(_ sampler: SamplerSettings, seed: UInt64) -> GeneratedLatents {
    GeneratedLatents(prompts: effectiveAnchorPrompts, count: trainSize, sampler: sampler, seed: seed)
  }
}

private let document = "eval-learn, technique ca"
private let script = "nupurkmr9/concept-ablation, diffusers/train.py"
