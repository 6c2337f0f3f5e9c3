internal import Configuration
public import Tensors

extension CLIPModel {
  /// Reads a folder that transformers' `CLIPModel` wrote: `config.json` and `model.safetensors`. What images it wants
  /// is in ``CLIPPreprocessing``.
  ///
  /// - Throws: ``ModelFolderError``, `WeightsError` or `SafetensorsError`, each one sentence that names file and key.
  public init(folder: String) throws {
    let config = try CLIPConfig(ConfigurationFile(path: folder + "/config.json"))
    let weights = try Weights(loading: TensorFile(folder + "/model.safetensors"))
    try self.init(config, weights)
    try weights.refuseUnused()
  }

  /// Writes such a folder, made where it is missing; an old configuration goes first and the new one comes last, so
  /// that an interrupted write is not mistaken for a model.
  ///
  /// - Parameter half: whether weights are kept as float16, rounded to nearest
  /// - Throws: `FileError` for a file that cannot be written.
  public static func write(_ config: CLIPConfig, _ weights: Weights, to folder: String, half: Bool = false) throws {
    try WholeFile.makeFolder(folder)
    try WholeFile.remove(folder + "/config.json")
    try Safetensors.write(weights.tensors, to: folder + "/model.safetensors", half: half)
    let preprocessing = CLIPPreprocessing().json(imageSize: config.vision.imageSize)
    for (name, json) in [("preprocessor_config.json", preprocessing), ("config.json", config.json)] {
      try WholeFile.write(json.pretty() + "\n", to: "\(folder)/\(name)")
    }
  }
}
