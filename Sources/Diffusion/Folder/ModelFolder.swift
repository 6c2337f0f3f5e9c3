internal import Configuration
internal import Foundation
internal import Tensors

/// The files of a diffusers folder, by part.
///
///     model_index.json
///     text_encoder/config.json, model.safetensors
///     tokenizer/vocab.json, merges.txt, ...
///     unet/config.json, diffusion_pytorch_model.safetensors
///     vae/config.json, diffusion_pytorch_model.safetensors
///     scheduler/scheduler_config.json
struct ModelFolder {
  enum Part: String, CaseIterable {
    case textEncoder = "text_encoder"
    case unet
    case vae

    /// The name under which this part's weights are written.
    var weightsName: String { self == .textEncoder ? "model" : "diffusion_pytorch_model" }
  }

  let path: String

  /// - Throws: ``ModelFolderError`` where there is no folder, or its index is not that of a Stable Diffusion pipeline.
  init(_ path: String) throws {
    self.path = path
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
      throw ModelFolderError(file: path, "there is no such model folder")
    }
    let index = try ConfigurationFile(path: file("model_index.json"))
    try index.require("_class_name", .string("StableDiffusionPipeline"))
    for (part, name) in [
      ("text_encoder", "CLIPTextModel"), ("tokenizer", "CLIPTokenizer"), ("unet", "UNet2DConditionModel"),
      ("vae", "AutoencoderKL"),
    ] {
      guard let found = index.value(part)?[1]?.string else { throw index.error(part, "the pipeline has no such part") }
      // A tokenizer written in Rust reads the same files and gives the same ids.
      guard found == name || found == name + "Fast" else {
        throw index.error(part, "\"\(found)\" is not supported, only \(name)")
      }
    }
  }

  func file(_ name: String) -> String { path + "/" + name }

  var tokenizer: String { file("tokenizer") }

  func configuration(_ part: Part) throws -> ConfigurationFile {
    try ConfigurationFile(path: file("\(part.rawValue)/config.json"))
  }

  func weights(_ part: Part) throws -> Weights { try Weights(loading: SafetensorsFile(weightsFile(part))) }

  /// The file that a part's weights are read from.
  ///
  /// - Throws: ``ModelFolderError`` where there is none.
  func weightsFile(_ part: Part) throws -> String {
    let names = ["diffusion_pytorch_model", "model"].flatMap { ["\($0).safetensors", "\($0).fp16.safetensors"] }
    let folder = file(part.rawValue)
    guard let name = names.first(where: { FileManager.default.fileExists(atPath: "\(folder)/\($0)") }) else {
      throw ModelFolderError(
        file: "\(folder)/\(part.weightsName).safetensors",
        "this file of the model folder is missing (weights are read from safetensors files only)")
    }
    return "\(folder)/\(name)"
  }
}

extension Weights {
  /// Refuses weights that building a model has not asked for: the configuration does not describe this file.
  func refuseUnused() throws {
    // Old text encoders keep the row numbers of their position table.
    guard let name = unused.first(where: { !$0.hasSuffix("position_ids") }) else { return }
    throw ModelFolderError(file: source, key: name, "the configuration beside this file has no such weight")
  }
}
