internal import Configuration

/// The settings of image generation that techniques share, with the defaults of the source documents.
extension Field {
  static func numInferenceSteps(_ path: any WritableKeyPath<Root, Int?> & Sendable) -> Field {
    Field(
      "num_inference_steps", path, filledBy: .baseModel, otherwise: 50, .between(1...1000),
      "DDIM steps for image generation", source: "seed document 000")
  }

  static func guidanceScale(_ path: any WritableKeyPath<Root, Double?> & Sendable) -> Field {
    Field(
      "guidance_scale", path, filledBy: .baseModel, otherwise: 7.5, .atLeast(0),
      "Classifier-free guidance scale for image generation; 1 and below is no guidance", source: "seed document 000")
  }

  static func useFP16(_ path: any WritableKeyPath<Root, Bool> & Sendable) -> Field {
    Field(
      "use_fp16", path, "Keep the weights in half precision for generation; arithmetic stays in float32",
      source: "seed document 000")
  }
}
