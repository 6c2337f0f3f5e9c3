public import Tensors

// One part of a model without the others: what measures a part, or compares it with another program, should hold no
// more than it needs.

extension UNet2DConditionModel {
  /// - Throws: ``ModelFolderError``, `WeightsError` or `SafetensorsError`, each one sentence that names file and key.
  public static func read(folder path: String) throws -> (model: UNet2DConditionModel, weights: Weights) {
    let (config, weights) = try readPart(.unet, of: path, UNetConfig.init, \.unet)
    let model = try UNet2DConditionModel(config, weights)
    try weights.refuseUnused()
    return (model, weights)
  }
}

extension AutoencoderKL {
  /// - Throws: ``ModelFolderError``, `WeightsError` or `SafetensorsError`, each one sentence that names file and key.
  public static func read(folder path: String) throws -> (model: AutoencoderKL, weights: Weights) {
    let (config, weights) = try readPart(.vae, of: path, AutoencoderConfig.init, \.vae)
    let model = try AutoencoderKL(config, weights)
    try weights.refuseUnused()
    return (model, weights)
  }
}

extension CLIPTextModel {
  /// - Throws: ``ModelFolderError``, `WeightsError` or `SafetensorsError`, each one sentence that names file and key.
  public static func read(folder path: String) throws -> (model: CLIPTextModel, weights: Weights) {
    let (config, weights) = try readPart(.textEncoder, of: path, CLIPTextConfig.init, \.text)
    let model = try CLIPTextModel(config, weights)
    try weights.refuseUnused()
    return (model, weights)
  }
}

extension DDIMScheduler {
  /// - Throws: ``ModelFolderError``, one sentence that names file and key.
  public static func read(folder path: String) throws -> DDIMScheduler {
    DDIMScheduler(
      try Checkpoint.isFile(path) ? Checkpoint(path).architecture.scheduler : SchedulerConfig(folder: path))
  }
}

/// The configuration and the weights of a part of a diffusers folder, or of a single file.
///
/// - Parameters:
///   - configure: from the part's configuration, where the folder has one
///   - config: of the architecture, which is all that a single file has
private func readPart<Config>(
  _ part: ModelFolder.Part, of path: String, _ configure: (ConfigurationFile) throws -> Config,
  _ config: (DiffusionModel.Architecture) -> Config
) throws -> (Config, Weights) {
  if Checkpoint.isFile(path) {
    let checkpoint = try Checkpoint(path)
    return (config(checkpoint.architecture), try checkpoint.weights(part))
  }
  let folder = try ModelFolder(path)
  return (try configure(folder.configuration(part)), try folder.weights(part))
}
