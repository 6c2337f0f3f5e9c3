/// The families of models that a folder or file may be of, and Lethe does not open.
enum ModelFamily {
  /// How a refusal ends.
  static let opened = "Lethe opens Stable Diffusion 1 and 2"

  /// By what the names of diffusers' pipelines begin with; the first that fits.
  private static let pipelines = [
    ("StableDiffusionXL", "a Stable Diffusion XL model"), ("StableDiffusion3", "a Stable Diffusion 3 model"),
    ("StableDiffusionInpaint", "a Stable Diffusion model for inpainting"),
    ("StableDiffusionInstructPix2Pix", "a Stable Diffusion model for edits by instruction"),
    ("StableDiffusionUpscale", "a Stable Diffusion model for upscaling"),
    ("StableDiffusionLatentUpscale", "a Stable Diffusion model for upscaling"),
    ("StableDiffusionDepth2Img", "a Stable Diffusion model of depth maps"),
    ("StableDiffusionControlNet", "a Stable Diffusion model with a ControlNet"),
    ("StableUnCLIP", "a Stable unCLIP model"), ("StableCascade", "a Stable Cascade model"), ("Flux", "a Flux model"),
    ("PixArt", "a PixArt model"), ("Sana", "a Sana model"), ("Kandinsky", "a Kandinsky model"),
    ("HunyuanDiT", "a Hunyuan-DiT model"), ("AuraFlow", "an AuraFlow model"), ("QwenImage", "a Qwen-Image model"),
    ("IF", "a DeepFloyd IF model"), ("LatentConsistency", "a latent consistency model"),
    ("AnimateDiff", "an AnimateDiff model"), ("Wan", "a Wan model"), ("LTX", "an LTX-Video model"),
  ]

  /// The family of a pipeline, with its article; nil for Stable Diffusion's and for one that is not known.
  static func named(_ pipeline: String) -> String? {
    pipelines.first { pipeline.hasPrefix($0.0) }?.1
  }

  /// By what some weight of a single file begins with, with or without the prefix of a whole model.
  private static let weights = [
    ("conditioner.embedders.", "a Stable Diffusion XL model"), ("joint_blocks.", "a Stable Diffusion 3 model"),
    ("double_blocks.", "a Flux model"), ("single_stream_modulation.", "a Flux 2 model"),
    ("double_stream_blocks.", "a HiDream model"), ("clip_txt_mapper.", "a Stable Cascade model"),
    ("control_model.", "a ControlNet"), ("lora_unet_", "a LoRA, which changes a model and is none"),
    ("lora_te_", "a LoRA, which changes a model and is none"), ("label_emb.", "a Stable Diffusion XL or unCLIP model"),
  ]

  /// The family of a single file by the names of its weights; nil where none speaks of another than Stable Diffusion.
  static func of(weights names: [String]) -> String? {
    let bare = names.map { $0.hasPrefix(Checkpoint.unet) ? $0.dropFirst(Checkpoint.unet.count) : $0[...] }
    return weights.first { family in bare.contains { $0.hasPrefix(family.0) } }?.1
  }
}
