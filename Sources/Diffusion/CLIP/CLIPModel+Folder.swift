internal import Configuration
internal import Foundation
public import Tensors

extension CLIPModel {
  /// Reads a folder that transformers' `CLIPModel` wrote: `config.json` and `model.safetensors`. What images it wants
  /// is in ``CLIPPreprocessing``.
  ///
  /// - Throws: ``ModelFolderError``, `WeightsError` or `SafetensorsError`, each one sentence that names file and key.
  public init(folder: String) throws {
    let config = try CLIPConfig(ConfigurationFile(path: folder + "/config.json"))
    let weights = try Weights(loading: SafetensorsFile(folder + "/model.safetensors"))
    try self.init(config, weights)
    try weights.refuseUnused()
  }

  /// Writes such a folder, made where it is missing; the weights come first, so that an interrupted write is not
  /// mistaken for a model.
  ///
  /// - Parameter half: whether weights are kept as float16, rounded to nearest
  public static func write(_ config: CLIPConfig, _ weights: Weights, to folder: String, half: Bool = false) throws {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw ModelFolderError(file: folder, "this folder cannot be made")
    }
    try Safetensors.write(weights.tensors, to: folder + "/model.safetensors", half: half)
    let preprocessing = CLIPPreprocessing().json(imageSize: config.vision.imageSize)
    for (name, json) in [("preprocessor_config.json", preprocessing), ("config.json", config.json)] {
      let path = "\(folder)/\(name)"
      do {
        try Data((json.pretty() + "\n").utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
      } catch {
        throw ModelFolderError(file: path, "this file cannot be written")
      }
    }
  }
}
