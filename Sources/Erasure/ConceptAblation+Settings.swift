internal import Configuration
internal import Diffusion

/// What the configurations of AC and P-AC share: the settings of the anchor, their checks, and the stage that draws the
/// anchor images.
extension ConceptAblation {
  static let anchorLatentsName = "anchor_latents"

  /// The anchor images, image i of prompt i modulo their number.
  func anchorLatents(_ count: Int, _ sampler: SamplerSettings, seed: UInt64) -> Estimate {
    GeneratedLatents(prompts: anchorPrompts, count: count, sampler: sampler, seed: seed)
      .estimate(named: Self.anchorLatentsName)
  }

  /// The anchor where the configuration may leave it out.
  static func anchor(_ anchor: String?, of concept: String) -> String {
    anchor ?? (concept == "nudity" ? "a person wearing clothes" : "")
  }

  static func validate(
    concept: String, anchor: String?, type: ConceptType, prompts: [String]?, isLoaded: Bool
  ) throws(ConfigurationError) {
    if isLoaded { return }
    let anchor = Self.anchor(anchor, of: concept)
    if anchor.isEmpty, type == .object {
      throw ConfigurationError(
        keyPath: "anchor_concept", "must be set: it is what the model draws in place of \"\(concept)\"")
    }
    if prompts == nil, anchor.isEmpty || anchor == "*" {
      throw ConfigurationError(
        keyPath: "anchor_prompts", "must be set where no anchor_concept says what the anchor images show")
    }
    guard type == .object, anchor != "*" else { return }
    let ablation = ConceptAblation(
      concept: concept, anchor: anchor, conceptType: type, anchorPrompts: [], lossType: .modelBased, priorWeight: nil)
    for (index, prompt) in (prompts ?? []).enumerated() {
      do {
        _ = try ablation.targetPrompts(prompt)
      } catch {
        throw ConfigurationError(keyPath: "anchor_prompts.\(index)", "\(error)")
      }
    }
  }

  static func warnings(anchorPrompts: [String]?, anchor: String) -> [String] {
    guard anchorPrompts == nil else { return [] }
    return [
      "anchor_prompts is not set: all anchor images are of \"\(anchor)\" alone; the paper takes 200 prompts that "
        + "name the anchor"
    ]
  }
}

extension Field {
  static func anchorConcept(_ path: any WritableKeyPath<Root, String?> & Sendable) -> Field {
    Field(
      "anchor_concept", path, .notEmpty,
      "What takes the concept's place; \"*\" where the whole anchor prompt does; "
        + "\"a person wearing clothes\" for nudity if unset, and to be set for every other object",
      source: document, role: .prompt)
  }

  static func conceptType(_ path: any WritableKeyPath<Root, ConceptAblation.ConceptType> & Sendable) -> Field {
    Field(
      "concept_type", path,
      "How anchor prompts become prompts of the concept: object replaces the anchor's words, style adds the style",
      source: script)
  }

  static func anchorPrompts(_ path: any WritableKeyPath<Root, [String]?> & Sendable) -> Field {
    Field(
      "anchor_prompts", path, .notEmpty,
      "Prompts of the anchor images, each with anchor_concept in it for an object; [anchor_concept] if unset",
      source: script, role: .prompt)
  }

  static func trainSize(_ path: any WritableKeyPath<Root, Int> & Sendable) -> Field {
    Field("train_size", path, .atLeast(1), "Anchor images drawn", source: script)
  }

  static func ablationLoss(_ path: any WritableKeyPath<Root, ConceptAblation.LossType> & Sendable) -> Field {
    Field(
      "loss_type_reverse", path,
      "model-based draws the concept's prediction to the anchor's, noise-based to the noise itself", source: script)
  }

  static func anchorModel(_ path: any WritableKeyPath<Root, ConceptAblation.AnchorModel> & Sendable) -> Field {
    Field(
      "anchor_model", path,
      "Whose prediction the model-based loss goes to: the current model's without a gradient, or the original's",
      source: "AC's script; P-AC's equation 3")
  }

  static func withPriorPreservation(_ path: any WritableKeyPath<Root, Bool> & Sendable) -> Field {
    Field(
      "with_prior_preservation", path, "Also train on anchor images under their own prompts", source: script)
  }

  static func priorLossWeight(_ path: any WritableKeyPath<Root, Double> & Sendable) -> Field {
    Field(
      "prior_loss_weight", path, .atLeast(0),
      "The weight of that loss: 1 in the diffusers script, 0.2 in the CompVis one", source: script)
  }
}

private let document = "eval-learn, technique ca"
private let script = "nupurkmr9/concept-ablation, diffusers/train.py"
