internal import Configuration
internal import Foundation
internal import Tensors

extension DiffusionModel {
  /// Writes the model as a diffusers folder that `StableDiffusionPipeline.from_pretrained` opens.
  ///
  /// The index comes last, so that an interrupted write is not mistaken for a model. Files of other names that are in
  /// the folder stay.
  ///
  /// - Parameters:
  ///   - folder: made where it is missing
  ///   - half: whether weights are kept as float16, rounded to nearest
  /// - Throws: ``ModelFolderError`` for a file that cannot be written.
  public func write(to folder: String, half: Bool = false) throws {
    try writeText(folder, "text_encoder/config.json", architecture.text.json)
    try writeText(folder, "unet/config.json", architecture.unet.json)
    try writeText(folder, "vae/config.json", architecture.vae.json)
    try writeText(folder, "scheduler/scheduler_config.json", architecture.scheduler.json)
    try copyTokenizer(folder)
    let text = textWeights.tensors.map { weight in
      (name: weight.name.hasPrefix("text_model.") ? weight.name : "text_model." + weight.name, tensor: weight.tensor)
    }
    try Safetensors.write(text, to: "\(folder)/text_encoder/model.safetensors", half: half)
    for (part, weights) in [("unet", unetWeights), ("vae", vaeWeights)] {
      try Safetensors.write(weights.tensors, to: "\(folder)/\(part)/diffusion_pytorch_model.safetensors", half: half)
    }
    try card?.write(folder: folder)
    try writeText(folder, "model_index.json", DiffusionModel.index)
  }

  private static let index: JSON = .object([
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": .string(writtenDiffusersVersion),
    "feature_extractor": [nil, nil],
    "image_encoder": [nil, nil],
    "requires_safety_checker": false,
    "safety_checker": [nil, nil],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
  ])

  private func writeText(_ folder: String, _ name: String, _ json: JSON) throws {
    let path = "\(folder)/\(name)"
    do {
      let url = URL(fileURLWithPath: path)
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data((json.pretty() + "\n").utf8).write(to: url, options: .atomic)
    } catch {
      throw ModelFolderError(file: path, "this file cannot be written")
    }
  }

  private func copyTokenizer(_ folder: String) throws {
    let target = "\(folder)/tokenizer"
    let from = URL(fileURLWithPath: tokenizerFolder).standardizedFileURL
    let to = URL(fileURLWithPath: target).standardizedFileURL
    guard from.path != to.path else { return }
    do {
      try FileManager.default.createDirectory(at: to, withIntermediateDirectories: true)
      for name in try FileManager.default.contentsOfDirectory(atPath: from.path).sorted() {
        let data = try Data(contentsOf: from.appendingPathComponent(name))
        try data.write(to: to.appendingPathComponent(name), options: .atomic)
      }
    } catch {
      throw ModelFolderError(file: target, "the tokenizer cannot be copied here from \(tokenizerFolder)")
    }
  }
}
