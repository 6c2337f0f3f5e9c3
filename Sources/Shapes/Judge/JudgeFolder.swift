internal import Configuration
public import Tensors

/// A judge's folder that cannot be read, in one sentence that names the file.
public struct JudgeFolderError: Error, Equatable, CustomStringConvertible {
  public let description: String
}

/// A judge network as a folder: `config.json`, which names its architecture, its heads and their classes, and
/// `model.safetensors`.
extension JudgeNetwork {
  /// What `config.json` says of every judge of this architecture.
  static var declaration: JSON {
    [
      "architecture": "JudgeNetwork",
      "feature_width": .integer(featureWidth),
      "image_size": .integer(shapesImageSize),
      "heads": .array(
        AttributeKind.allCases.map { kind in
          ["name": .string(kind.rawValue), "classes": .array(kind.classes.map(JSON.string))]
        }),
    ]
  }

  /// Reads a judge from its folder.
  ///
  /// - Throws: ``JudgeFolderError``, `JSONError`, `SafetensorsError` or `WeightsError`, each one sentence that names
  ///   the file.
  public static func load(folder: String) throws -> JudgeNetwork {
    let file = folder + "/config.json"
    let found = try JSON.read(file)
    for (key, expected) in (declaration.object ?? [:]).sorted(by: { $0.key < $1.key }) where found[key] != expected {
      let value = found[key].map { $0.canonical() } ?? "nothing"
      throw JudgeFolderError(
        description: "\(file): \(key): a judge of this world has \(expected.canonical()) here, found \(value)")
    }
    let weights = try Weights(loading: TensorFile(folder + "/model.safetensors"))
    let judge = try JudgeNetwork(weights)
    if let name = weights.unused.first {
      throw JudgeFolderError(description: "\(weights.source): a judge has no weight '\(name)'")
    }
    return judge
  }

  /// Writes a judge's weights as a folder that ``load(folder:)`` reads; the folder must exist.
  ///
  /// - Throws: `FileError` for a file that cannot be written.
  public static func write(_ weights: Weights, folder: String) throws {
    try WholeFile.write(declaration.pretty() + "\n", to: folder + "/config.json")
    try Safetensors.write(weights.tensors, to: folder + "/model.safetensors")
  }
}
