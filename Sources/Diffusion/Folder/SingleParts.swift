public import Tensors

// One part of a diffusers folder without the others: what measures a part, or compares it with another program, should
// hold no more than it needs.

extension UNet2DConditionModel {
  /// - Throws: ``ModelFolderError``, `WeightsError` or `SafetensorsError`, each one sentence that names file and key.
  public static func read(folder path: String) throws -> (model: UNet2DConditionModel, weights: Weights) {
    let folder = try ModelFolder(path)
    let weights = try folder.weights(.unet)
    let model = try UNet2DConditionModel(UNetConfig(folder.configuration(.unet)), weights)
    try weights.refuseUnused()
    return (model, weights)
  }
}

extension AutoencoderKL {
  /// - Throws: ``ModelFolderError``, `WeightsError` or `SafetensorsError`, each one sentence that names file and key.
  public static func read(folder path: String) throws -> (model: AutoencoderKL, weights: Weights) {
    let folder = try ModelFolder(path)
    let weights = try folder.weights(.vae)
    let model = try AutoencoderKL(AutoencoderConfig(folder.configuration(.vae)), weights)
    try weights.refuseUnused()
    return (model, weights)
  }
}

extension CLIPTextModel {
  /// - Throws: ``ModelFolderError``, `WeightsError` or `SafetensorsError`, each one sentence that names file and key.
  public static func read(folder path: String) throws -> (model: CLIPTextModel, weights: Weights) {
    let folder = try ModelFolder(path)
    let weights = try folder.weights(.textEncoder)
    let model = try CLIPTextModel(CLIPTextConfig(folder.configuration(.textEncoder)), weights)
    try weights.refuseUnused()
    return (model, weights)
  }
}

extension DDIMScheduler {
  /// - Throws: ``ModelFolderError``, one sentence that names file and key.
  public static func read(folder path: String) throws -> DDIMScheduler {
    DDIMScheduler(try SchedulerConfig(folder: path))
  }
}
