public import Configuration
public import Diffusion

/// How a technique's images are drawn: the settings that all techniques have, with the defaults of the source
/// documents.
public struct GenerationSettings: Configuration {
  public var numInferenceSteps: Int?
  public var guidanceScale: Double?
  public var scheduler: Scheduler?
  public var eta: Double?
  public var useFP16 = true
  public var device: Device?

  public init() {}

  public static let fields: [Field<GenerationSettings>] =
    samplerFields + [
      Field(
        "use_fp16", \.useFP16,
        "Draw with weights stored in half precision and computed with in float32; estimates and training hold float32",
        source: "seed document 000"),
      .device(\.device),
    ]

  /// The fields of ``sampler`` alone: of work that draws pictures only to look inside.
  public static let samplerFields: [Field<GenerationSettings>] = [
    Field(
      "num_inference_steps", \.numInferenceSteps, filledBy: .baseModel, otherwise: 50, .between(1...1000),
      "Steps of the scheduler for image generation", source: "seed document 000"),
    Field(
      "guidance_scale", \.guidanceScale, filledBy: .baseModel, otherwise: 7.5, .atLeast(0),
      "Classifier-free guidance scale for image generation; 1 and below is no guidance", source: "seed document 000"),
    Field(
      "scheduler", \.scheduler,
      "What draws images, over the noise schedule of the base model; null for the scheduler that its folder names"
    ).leftOutWhenNull(),
    Field(
      "eta", \.eta, .between(0...1), "η of DDIM, the share of DDPM's noise that a step adds; null for none",
      source: "arXiv 2010.02502"
    ).leftOutWhenNull(),
  ]

  static let samplerKeys = samplerFields.map(\.key)

  /// Steps and scale; what nobody names has the source documents' defaults.
  public var sampler: SamplerSettings {
    SamplerSettings(
      steps: numInferenceSteps ?? 50, guidanceScale: guidanceScale ?? 7.5, scheduler: scheduler, eta: eta ?? 0)
  }
}
