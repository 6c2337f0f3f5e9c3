internal import Configuration
internal import Foundation
internal import Tensors

/// A model in a single file, as Stable Diffusion's own code names its weights: `model.diffusion_model.` for the UNet,
/// `first_stage_model.` for the autoencoder, `cond_stage_model.` for the text encoder (Rombach et al., 2022).
///
/// Such a file has no configuration: the architecture comes from the shapes of the weights. What is not under the
/// three prefixes, a running average of the weights (`model_ema.`) or the state of a training, is passed over. What the
/// file does not have lies beside it, in folders as diffusers has them:
///
///     v1-5-pruned.safetensors
///     v1-5-pruned.yaml                   the configuration it was trained with, where it came with one
///     scheduler/scheduler_config.json    the noise schedule, where it is not the usual one
///     tokenizer/vocab.json, merges.txt, ...
struct Checkpoint {
  static let unet = "model.diffusion_model."
  static let autoencoder = "first_stage_model."
  static let text = "cond_stage_model."

  let path: String
  let architecture: DiffusionModel.Architecture
  /// What the file does not say and was taken for granted, one sentence each.
  let assumptions: [String]
  private let file: TensorFile
  private let names: CheckpointNames
  let stamps: FileStamps

  /// Whether a path leads to a file of tensors rather than to a folder.
  static func isFile(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return TensorFile.isNamed(path) && FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      && !isFolder.boolValue
  }

  /// The names of files that tell what the file does not, but for folders.
  static func companions(of path: String) -> [String] {
    let yaml = yaml(of: path)
    return isMissing(yaml) ? [] : [(yaml as NSString).lastPathComponent]
  }

  private static func yaml(of path: String) -> String { (path as NSString).deletingPathExtension + ".yaml" }

  /// - Throws: ``ModelFolderError``, `SafetensorsError` or `FileError` for a file that cannot be read, or is no such
  ///   model.
  init(_ path: String) throws {
    self.path = path
    stamps = try FileStamps(ofModel: path)
    file = try TensorFile(path)
    let all = file.names + file.unread.keys
    if let family = ModelFamily.of(weights: all) {
      throw ModelFolderError(file: path, "is \(family); \(ModelFamily.opened)")
    }
    for (prefix, part) in [(Self.unet, "UNet"), (Self.autoencoder, "autoencoder"), (Self.text, "text encoder")]
    where !all.contains(where: { $0.hasPrefix(prefix) }) {
      throw ModelFolderError(
        file: path, "is no whole Stable Diffusion model: it has no weights of the \(part), which begin with \(prefix)")
    }
    let shapes = try CheckpointShapes(file)
    var unet = try shapes.unet(), vae = try shapes.autoencoder()
    let schedule = try Self.schedule(of: path, isSecond: shapes.isSecond)
    // Stable Diffusion 2 was trained at 512 pixels to predict the noise, and at 768 to predict v.
    unet.sampleSize = shapes.isSecond && schedule.config.predictionType != .epsilon ? 96 : 64
    vae.sampleSize = unet.sampleSize * vae.reduction
    architecture = DiffusionModel.Architecture(
      text: try shapes.textEncoder(), unet: unet, vae: vae, scheduler: schedule.config)
    assumptions = schedule.assumptions
    names = CheckpointNames(architecture, isOpenCLIP: shapes.isOpenCLIP)
  }

  /// The folder of the tokenizer beside the file.
  var tokenizer: String {
    get throws {
      let folder = ModelFiles.place(of: path) + "/tokenizer"
      guard !isMissing(folder) else {
        throw ModelFolderError(
          file: path,
          "has no tokenizer, as no such file has: put the tokenizer folder of its model (vocab.json, merges.txt) at "
            + folder)
      }
      return folder
    }
  }

  /// The weights of a part by diffusers' names.
  ///
  /// - Throws: `WeightsError` for values that are not finite, ``ModelFolderError`` for fused weights of another shape.
  func weights(_ part: ModelFolder.Part) throws -> Weights {
    var tensors: [String: Tensor] = [:]
    let prefix = Self.prefix(part)
    let found = try file.finiteTensors(isMapped: true) { $0.hasPrefix(prefix) && !names.isPassedOver($0) }
    for (name, tensor) in found {
      for (name, tensor) in try names.converted(name, tensor, file: path) { tensors[name] = tensor }
    }
    var unread: [String: UnreadTensor] = [:]
    for (name, tensor) in file.unread where name.hasPrefix(prefix) && !names.isPassedOver(name) {
      for name in names.converted(name) { unread[name] = tensor }
    }
    return Weights(tensors, source: path, unread: unread)
  }

  static func prefix(_ part: ModelFolder.Part) -> String {
    switch part {
    case .unet: unet
    case .vae: autoencoder
    case .textEncoder: text
    }
  }

  /// The noise schedule: as the folder beside the file says, else Stable Diffusion's with the prediction that the
  /// training's configuration names, else the usual one for the architecture.
  private static func schedule(
    of path: String, isSecond: Bool
  ) throws -> (config: SchedulerConfig, assumptions: [String]) {
    let folder = ModelFiles.place(of: path)
    let place = folder + "/scheduler/scheduler_config.json"
    if !isMissing(place) {
      return (try SchedulerConfig(ConfigurationFile(path: place)), [])
    }
    let told = try companions(of: path).first.flatMap { try prediction(in: "\(folder)/\($0)") }
    var config = SchedulerConfig()
    config.predictionType = told ?? (isSecond ? .velocity : .epsilon)
    guard told == nil, isSecond else { return (config, []) }
    return (
      config,
      [
        "\(path) does not say what its UNet predicts: v is taken for granted, as Stable Diffusion 2 has it at 768 "
          + "pixels; for one that predicts the noise write `parameterization: eps` into \(yaml(of: path))"
      ]
    )
  }

  /// What `parameterization` says in a training's configuration; the noise where it says nothing.
  private static func prediction(in path: String) throws -> PredictionType? {
    let bytes: [UInt8]
    do throws(UnreadableFile) { bytes = try contents(of: path) } catch {
      throw ModelFolderError(file: path, error.reason)
    }
    for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
      let parts = line.split(separator: ":").map { $0.trimmingCharacters(in: .whitespaces) }
      guard parts.count == 2, parts[0] == "parameterization" else { continue }
      switch parts[1].trimmingCharacters(in: CharacterSet(charactersIn: "\"'")) {
      case "eps": return .epsilon
      case "v": return .velocity
      default:
        throw ModelFolderError(file: path, key: "parameterization", "\(parts[1]) is not supported, only eps or v")
      }
    }
    return .epsilon
  }
}
