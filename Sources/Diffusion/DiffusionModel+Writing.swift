internal import Configuration
internal import Foundation
internal import Tensors

extension DiffusionModel {
  /// Writes the model as a diffusers folder that `StableDiffusionPipeline.from_pretrained` opens.
  ///
  /// The index of a model that is there goes first and the new one comes last, so that an interrupted write is not
  /// mistaken for a model. Files of other names that are in the folder stay.
  ///
  /// - Parameters:
  ///   - folder: made where it is missing
  ///   - half: whether weights are kept as float16, rounded to nearest
  /// - Throws: `FileError` for a file that cannot be written, ``ModelFolderError`` for a tokenizer that cannot be read,
  ///   ``ModelCardError`` for a card that is not valid.
  public func write(to folder: String, half: Bool = false) throws {
    try WholeFile.makeFolder(folder)
    try WholeFile.remove("\(folder)/model_index.json")
    let parts = [
      ("text_encoder", "config.json", architecture.text.json), ("unet", "config.json", architecture.unet.json),
      ("vae", "config.json", architecture.vae.json),
      ("scheduler", "scheduler_config.json", architecture.scheduler.json),
    ]
    for (part, name, json) in parts {
      try WholeFile.makeFolder("\(folder)/\(part)")
      try WholeFile.write(json.pretty() + "\n", to: "\(folder)/\(part)/\(name)")
    }
    try copyTokenizer(folder)
    let text = textWeights.tensors.map { weight in
      (name: weight.name.hasPrefix("text_model.") ? weight.name : "text_model." + weight.name, tensor: weight.tensor)
    }
    try Safetensors.write(text, to: "\(folder)/text_encoder/model.safetensors", half: half)
    for (part, weights) in [("unet", unetWeights), ("vae", vaeWeights)] {
      try Safetensors.write(weights.tensors, to: "\(folder)/\(part)/diffusion_pytorch_model.safetensors", half: half)
    }
    try card?.write(folder: folder)
    try WholeFile.write(index.pretty() + "\n", to: "\(folder)/model_index.json")
  }

  private var index: JSON {
    .object([
      "_class_name": "StableDiffusionPipeline",
      "_diffusers_version": .string(writtenDiffusersVersion),
      "feature_extractor": [nil, nil],
      "image_encoder": [nil, nil],
      "requires_safety_checker": false,
      "safety_checker": [nil, nil],
      "scheduler": ["diffusers", .string(architecture.scheduler.scheduler.className)],
      "text_encoder": ["transformers", "CLIPTextModel"],
      "tokenizer": ["transformers", "CLIPTokenizer"],
      "unet": ["diffusers", "UNet2DConditionModel"],
      "vae": ["diffusers", "AutoencoderKL"],
    ])
  }

  private func copyTokenizer(_ folder: String) throws {
    let target = "\(folder)/tokenizer"
    let from = URL(fileURLWithPath: tokenizerFolder).standardizedFileURL
    guard from.path != URL(fileURLWithPath: target).standardizedFileURL.path else { return }
    try WholeFile.makeFolder(target)
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: tokenizerFolder) else {
      throw ModelFolderError(file: tokenizerFolder, readingProblem(of: tokenizerFolder))
    }
    for name in names.sorted() {
      let bytes: [UInt8]
      do throws(UnreadableFile) { bytes = try contents(of: "\(tokenizerFolder)/\(name)") } catch {
        throw ModelFolderError(file: "\(tokenizerFolder)/\(name)", error.reason)
      }
      try WholeFile.write(bytes, to: "\(target)/\(name)")
    }
  }
}
