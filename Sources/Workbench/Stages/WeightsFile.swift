internal import Configuration
internal import Diffusion
internal import Foundation
internal import Tensors

/// Files of UNet weights that an experiment names: `save_path` and `load_path`.
enum WeightsFile {
  /// The refusal of a file format that is not built yet.
  static func unsupported(_ path: String, _ verb: String) -> ConfigurationError {
    ConfigurationError("\(path) cannot be \(verb): only .safetensors files are supported")
  }

  /// Refuses a file that cannot be written or must not be: the base model's own.
  ///
  /// - Throws: `ConfigurationError`
  static func check(path: String, base: BaseModel, point: ExperimentPoint) throws {
    guard path.hasSuffix(".safetensors") else { throw unsupported(path, "written") }
    let resolved = URL(fileURLWithPath: point.resolve(path)).resolvingSymlinksInPath().path
    let folder = URL(fileURLWithPath: base.folder).resolvingSymlinksInPath().path
    guard !resolved.hasPrefix(folder + "/") else {
      throw ConfigurationError(
        file: point.file, keyPath: "technique.config.save_path",
        "\(path) lies in the folder of the base model, which edited weights would replace")
    }
  }

  /// Writes all weights of a UNet, making the folder where it is missing.
  static func write(_ weights: Weights, to path: String) throws {
    guard path.hasSuffix(".safetensors") else { throw unsupported(path, "written") }
    let folder = (path as NSString).deletingLastPathComponent
    if !folder.isEmpty {
      do {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      } catch {
        throw ConfigurationError("\(path) cannot be written: its folder cannot be made (\(error.localizedDescription))")
      }
    }
    try Safetensors.write(weights.tensors, to: path)
  }
}
