internal import Configuration
internal import Foundation
internal import Tensors

/// The files that hold the weights of one part of a diffusers folder.
///
/// The first of these that is there: a safetensors file, the index of one in several pieces, the same in half precision
/// (`.fp16`), and then PyTorch's own files in the same order.
struct WeightFiles {
  /// The file, or the index of its pieces.
  let path: String
  private let folder: String

  /// The names that are looked for, in this order.
  static func names(_ part: ModelFolder.Part) -> [String] {
    var names: [String] = []
    for (ending, stems) in [
      ("safetensors", ["diffusion_pytorch_model", "model"]), ("bin", ["diffusion_pytorch_model", "pytorch_model"]),
    ] {
      let stems = part == .textEncoder ? stems.reversed() : stems
      for (file, index) in [("", "index"), (".fp16", "index.fp16")] {
        names += stems.flatMap { ["\($0)\(file).\(ending)", "\($0).\(ending).\(index).json"] }
      }
    }
    return names
  }

  /// - Throws: ``ModelFolderError`` where the folder has none of them.
  init(folder: String, _ part: ModelFolder.Part) throws {
    let names = Self.names(part)
    guard let name = names.first(where: { !isMissing("\(folder)/\($0)") }) else {
      throw ModelFolderError(
        file: "\(folder)/\(names[0])",
        "this file of the model folder is missing, and so are its variants (.fp16, .bin, and the index of several)")
    }
    self.folder = folder
    path = "\(folder)/\(name)"
  }

  /// The names in the folder of all files that are read.
  var fileNames: [String] {
    let name = (path as NSString).lastPathComponent
    guard name.hasSuffix(".json") else { return [name] }
    return [name] + Set((try? pieces())?.values.map { $0 } ?? []).sorted()
  }

  /// The files of tensors, opened; no weight is read.
  func tensorFiles() throws -> [TensorFile] {
    guard path.hasSuffix(".json") else { return [try TensorFile(path)] }
    return try Set(pieces().values).sorted().map { try TensorFile("\(folder)/\($0)") }
  }

  /// - Throws: ``ModelFolderError``, `SafetensorsError`, `FileError` or `WeightsError`, each one sentence that names
  ///   the file.
  func weights() throws -> Weights {
    guard path.hasSuffix(".json") else { return try Weights(loading: TensorFile(path), isMapped: true) }
    let places = try pieces()
    var tensors: [String: Tensor] = [:]
    var unread: [String: UnreadTensor] = [:]
    for name in Set(places.values).sorted() {
      let file = try TensorFile("\(folder)/\(name)")
      let wanted = places.filter { $0.value == name }.keys.sorted()
      if let missing = wanted.first(where: { !file.contains($0) && file.unread[$0] == nil }) {
        throw ModelFolderError(file: path, key: missing, "this weight is not in \(file.path), as the index says")
      }
      tensors.merge(try file.finiteTensors(isMapped: true) { places[$0] == name }) { $1 }
      unread.merge(file.unread.filter { places[$0.key] == name }) { $1 }
    }
    return Weights(tensors, source: path, unread: unread)
  }

  /// The file of each weight, as the index has them. Rows of integers are left out, as they are from the files.
  private func pieces() throws -> [String: String] {
    let index = try ConfigurationFile(path: path)
    let map = try index.section("weight_map")
    var places: [String: String] = [:]
    for name in map.keys where !name.hasSuffix("position_ids") {
      let file = try map.string(name)
      guard !file.contains("/"), TensorFile.isNamed(file) else {
        throw map.error(name, "\"\(file)\" is no file of weights beside the index")
      }
      guard !isMissing("\(folder)/\(file)") else {
        throw ModelFolderError(file: "\(folder)/\(file)", "this piece is missing, and the index names it")
      }
      places[name] = file
    }
    return places
  }
}

/// What lies in a model folder, or beside a model's single file, and decides what the model computes.
public enum ModelFiles {
  /// Whether a path leads to a file that can only be a model in a single file, and not to a folder.
  public static func isSingleFile(_ path: String) -> Bool { Checkpoint.isFile(path) }

  /// The folder of a model: its own, or the one that a single file lies in.
  public static func place(of path: String) -> String {
    guard Checkpoint.isFile(path) else { return path }
    let folder = (path as NSString).deletingLastPathComponent
    return folder.isEmpty ? "." : folder
  }

  /// The files' paths as seen from the model's folder (``place(of:)``).
  ///
  /// Safetensors are listed whether they are read or not; PyTorch's files only where they are.
  ///
  /// - Throws: ``ModelFolderError`` for a folder that may not be read: what lies in it decides all the same.
  public static func list(of path: String) throws -> [String] {
    if Checkpoint.isFile(path) {
      let texts = try texts(in: place(of: path), ["scheduler", "tokenizer"])
      return ([(path as NSString).lastPathComponent] + Checkpoint.companions(of: path)).sorted() + texts
    }
    var files = ["model_index.json"]
    files += try texts(in: path, ["scheduler", "text_encoder", "tokenizer", "unet", "vae"])
    for part in ModelFolder.Part.allCases {
      let names = (try? WeightFiles(folder: "\(path)/\(part.rawValue)", part))?.fileNames ?? []
      files += names.map { "\(part.rawValue)/\($0)" }.filter { !files.contains($0) }
    }
    return files.sorted()
  }

  private static func texts(in folder: String, _ parts: [String]) throws -> [String] {
    try parts.flatMap { part -> [String] in
      let place = "\(folder)/\(part)"
      // What is called so and is no folder is none of the model's.
      if isMissing(place + "/") { return [] }
      guard let names = try? FileManager.default.contentsOfDirectory(atPath: place) else {
        throw ModelFolderError(file: place, readingProblem(of: place))
      }
      return names.filter { name in
        !name.hasPrefix(".") && [".json", ".txt", ".safetensors"].contains(where: name.hasSuffix)
      }.map { "\(part)/\($0)" }
    }
  }
}
