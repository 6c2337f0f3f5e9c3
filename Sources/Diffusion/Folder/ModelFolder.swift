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
///
/// Weights may be in other files than these: see ``WeightFiles``.
struct ModelFolder {
  enum Part: String, CaseIterable {
    case textEncoder = "text_encoder"
    case unet
    case vae
  }

  let path: String
  let stamps: FileStamps

  /// - Throws: ``ModelFolderError`` where there is no folder, or its index is not that of a Stable Diffusion pipeline.
  init(_ path: String) throws {
    self.path = path
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw ModelFolderError(file: path, readingProblem(of: path, missing: "there is no such model folder"))
    }
    guard isFolder.boolValue else {
      let endings = ([".safetensors"] + TensorFile.torchEndings).joined(separator: ", ")
      throw ModelFolderError(
        file: path, "is no model: neither a folder in the layout of diffusers nor a single file (\(endings))")
    }
    stamps = try FileStamps(ofModel: path)
    let index = try ConfigurationFile(path: "\(path)/model_index.json")
    let pipeline = try index.string("_class_name")
    if let family = ModelFamily.named(pipeline) {
      throw index.error("_class_name", "\"\(pipeline)\" is \(family); \(ModelFamily.opened)")
    }
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

  private func file(_ name: String) -> String { path + "/" + name }

  var tokenizer: String { file("tokenizer") }

  func configuration(_ part: Part) throws -> ConfigurationFile {
    try ConfigurationFile(path: file("\(part.rawValue)/config.json"))
  }

  func weights(_ part: Part) throws -> Weights { try WeightFiles(folder: file(part.rawValue), part).weights() }
}

extension DiffusionModel.Architecture {
  /// What a diffusers folder, or a model in a single file, says of itself without its weights being read.
  ///
  /// - Throws: ``ModelFolderError``, `SafetensorsError` or `FileError`, each one sentence that names file and key.
  public init(of path: String) throws {
    if Checkpoint.isFile(path) { self = try Checkpoint(path).architecture } else { try self.init(ModelFolder(path)) }
  }

  init(_ folder: ModelFolder) throws {
    try self.init(
      text: CLIPTextConfig(folder.configuration(.textEncoder)), unet: UNetConfig(folder.configuration(.unet)),
      vae: AutoencoderConfig(folder.configuration(.vae)), scheduler: SchedulerConfig(folder: folder.path))
  }
}

/// Files as they were when a model began to be read.
public struct FileStamps {
  private let stamps: [(path: String, stamp: FileStamp?)]

  init(of paths: [String]) { stamps = paths.map { ($0, FileStamp($0)) } }

  /// Those of a diffusers folder or of a single file, for whoever reads parts of it alone; see
  /// ``DiffusionModel/confirmUnchanged()``.
  ///
  /// - Throws: ``ModelFolderError`` naming a folder of the model that may not be read.
  public init(ofModel path: String) throws {
    let place = ModelFiles.place(of: path)
    self.init(of: try ModelFiles.list(of: path).map { "\(place)/\($0)" })
  }

  /// - Throws: ``ModelFolderError`` naming a file that is not as it was.
  public func confirmUnchanged() throws {
    for (path, stamp) in stamps where FileStamp(path) != stamp {
      throw ModelFolderError(file: path, "changed while the model was being read")
    }
  }
}
