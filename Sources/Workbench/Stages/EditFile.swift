internal import Configuration
internal import Diffusion
internal import Erasure
internal import Foundation
internal import Store
internal import Tensors

/// A file that an experiment names as `save_path` or `load_path`. Its ending says what it holds: `.safetensors`, or one
/// of PyTorch's, all weights of an edited UNet, `.mask` a pruning mask (docs/store-format.md, "Files of edits").
///
/// A file that Lethe wrote names the base model that its edit was made from, and is refused for any other. One that
/// names none, somebody else's, is taken where its names and shapes are the UNet's.
struct EditFile {
  private enum Content {
    case weights, mask
  }

  let path: String
  private let content: Content

  /// - Parameter purpose: what is to be done with the file, `read` or `written`.
  /// - Throws: `ConfigurationError` for a file of any other ending.
  init(_ path: String, toBe purpose: String) throws {
    self.path = path
    if TensorFile.isNamed(path) {
      content = .weights
    } else if path.hasSuffix(".mask") {
      content = .mask
    } else {
      throw ConfigurationError(
        "\(path) cannot be \(purpose): the file of an edit ends in .safetensors, in .bin, .pt, .pth or .ckpt as "
          + "PyTorch's do, or in .mask")
    }
  }

  /// Refuses a `save_path` that cannot be written or must not be: in the base model's own folder.
  ///
  /// - Throws: `ConfigurationError`
  static func check(savePath path: String, base: BaseModel, point: ExperimentPoint) throws {
    _ = try EditFile(path, toBe: "written")
    let resolved = URL(fileURLWithPath: point.resolve(path)).resolvingSymlinksInPath().path
    let folder = URL(fileURLWithPath: base.folder).resolvingSymlinksInPath().path
    guard !resolved.hasPrefix(folder + "/") else {
      throw ConfigurationError(
        file: point.file, keyPath: "technique.config.save_path",
        "\(path) lies in the folder of the base model, which an edit would replace")
    }
  }

  // MARK: Writing

  /// Writes an edit, making the folder where it is missing.
  ///
  /// - Parameter confirming: throws where the model changed while it was written; the file is removed then
  /// - Throws: `ConfigurationError` for an edit that the file cannot hold, `FileError` where it cannot be written.
  func write(
    _ edit: ModelEdit, of model: DiffusionModel, base: BaseModel, maker: Maker, confirming: () throws -> Void
  ) throws {
    guard edit.replacedTextEncoderTensors.isEmpty else {
      throw ConfigurationError(
        "\(path) cannot be written: it would hold the UNet alone, and the edit changes the text encoder; lethe export "
          + "writes the whole model")
    }
    try WholeFile.makeFolder(for: path)
    switch content {
    case .weights:
      let tensors = try edit.applied(to: model).unetWeights.tensors
      let made = [
        Self.baseKey: base.digest.hex, Self.techniqueKey: maker.technique,
        Self.conceptsKey: maker.concepts.json.canonical(),
      ]
      if path.hasSuffix(".safetensors") {
        try Safetensors.write(tensors, to: path, metadata: made.merging(["format": "pt"]) { $1 })
      } else {
        try TorchFile.write(tensors, to: path, metadata: made)
      }
    case .mask:
      guard edit.replacedUNetTensors.isEmpty else {
        throw ConfigurationError("\(path) cannot be written: a mask cannot hold the weights that the edit replaces")
      }
      let header: JSON = [
        "format": .string(Self.maskFormat), "base": .string(base.digest.hex), "technique": .string(maker.technique),
        "concepts": maker.concepts.json,
      ]
      try WholeFile.write(Array((header.canonical() + "\n").utf8) + edit.pruned.encoded, to: path)
    }
    do { try confirming() } catch {
      try WholeFile.remove(path)
      throw error
    }
  }

  /// The metadata of a file of weights.
  private static let baseKey = "lethe.base"
  private static let techniqueKey = "lethe.technique"
  private static let conceptsKey = "lethe.concepts"
  private static let maskFormat = "lethe mask file 1"

  // MARK: Reading

  /// What made an edit, as its file names it.
  struct Maker: Equatable {
    let technique: String
    /// The concepts that it erases.
    let concepts: [String]
  }

  /// Refuses an edit that another technique made, or that erases something else: the run would be recorded as what it
  /// is not. A file that names no maker is taken.
  ///
  /// - Throws: `ConfigurationError`, or what the file is refused for.
  func refuseOther(than maker: Maker) throws {
    let (technique, concepts) = try named()
    if let technique, technique != maker.technique {
      throw ConfigurationError(
        "\(path) was made by \(technique), and the technique is \(maker.technique): the run would be recorded as what "
          + "it is not")
    }
    if let concepts, Set(concepts) != Set(maker.concepts) {
      func words(_ names: [String]) -> String { names.map { "\"\($0)\"" }.joined(separator: ", ") }
      throw ConfigurationError("\(path) erases \(words(concepts)), and not \(words(maker.concepts))")
    }
  }

  private func named() throws -> (technique: String?, concepts: [String]?) {
    switch content {
    case .weights:
      let metadata = try TensorFile(path).metadata
      let concepts = try metadata[Self.conceptsKey].map { try JSON.parse(Array($0.utf8), file: path) }
      return (metadata[Self.techniqueKey], concepts.flatMap([String].init))
    case .mask:
      guard let header = try header(of: bytes())?.json else { return (nil, nil) }
      return (header["technique"]?.string, header["concepts"].flatMap([String].init))
    }
  }

  /// The edit that the file holds.
  ///
  /// - Throws: `ConfigurationError` for an edit of another base model; `SafetensorsError`, `FileError`, `WeightsError`,
  ///   `ModelFolderError` or `ErasureError` for a file that is damaged or does not fit the UNet.
  func read(for model: DiffusionModel, base: BaseModel) throws -> ModelEdit {
    switch content {
    case .weights: ModelEdit(replacedUNetTensors: try weights(for: model, base: base))
    case .mask: ModelEdit(pruned: try mask(for: model, base: base))
    }
  }

  /// Refuses what ``read(for:base:)`` would refuse but for damage to the values.
  func check(for model: DiffusionModel, base: BaseModel) throws {
    switch content {
    case .weights: _ = try file(for: model, base: base)
    case .mask: _ = try mask(for: model, base: base)
    }
  }

  private func weights(for model: DiffusionModel, base: BaseModel) throws -> [String: Tensor] {
    try file(for: model, base: base).finiteTensors()
  }

  /// The file of weights, once its names and shapes are known to be the UNet's.
  private func file(for model: DiffusionModel, base: BaseModel) throws -> TensorFile {
    let file = try TensorFile(path)
    try refuseOther(base, than: file.metadata[Self.baseKey], by: file.metadata[Self.techniqueKey])
    let names = model.unetWeights.names
    if let missing = names.first(where: { !file.contains($0) }) {
      throw ModelFolderError(
        file: path, key: missing, file.unread[missing]?.problem ?? "this weight of the UNet is not in the file")
    }
    for name in file.names {
      guard let weight = model.unetWeights[name] else {
        throw ModelFolderError(
          file: path, key: name, "the UNet has no such weight\(suggestion(for: name, among: names))")
      }
      let shape = try file.shape(of: name)
      guard shape == weight.shape else {
        throw ModelFolderError(
          file: path, key: name, "has the shape \(shape), and the UNet's weight has \(weight.shape)")
      }
    }
    return file
  }

  /// A mask with the line before it, or the object of a store alone, which is without.
  private func mask(for model: DiffusionModel, base: BaseModel) throws -> PruningMask {
    var bytes = try bytes()
    if let (header, length) = try header(of: bytes) {
      try refuseOther(base, than: header["base"]?.string, by: header["technique"]?.string)
      bytes.removeFirst(length)
    }
    let mask = try PruningMask(decoding: bytes, source: path)
    do {
      try mask.check(model.unetWeights)
    } catch {
      throw ErasureError("\(path): \(error)")
    }
    return mask
  }

  private func bytes() throws -> [UInt8] {
    do throws(UnreadableFile) { return try contents(of: path) } catch {
      throw ConfigurationError("\(path): \(error.reason)")
    }
  }

  /// The line before a mask and the number of bytes that it takes; nil for a mask that is without.
  private func header(of bytes: [UInt8]) throws -> (json: JSON, length: Int)? {
    guard bytes.first == UInt8(ascii: "{"), let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    let header = try JSON.parse(Array(bytes[..<end]), file: path)
    guard header["format"]?.string == Self.maskFormat, header["base"]?.string != nil else {
      throw ErasureError("\(path) is not a pruning mask: its first line names no base model or another format")
    }
    return (header, end + 1)
  }

  /// - Parameter made: the digest of the base model that the edit was made from, where the file names it.
  private func refuseOther(_ base: BaseModel, than made: String?, by technique: String?) throws {
    guard let made, made != base.digest.hex else { return }
    throw ConfigurationError(
      "\(path) was made\(technique.map { " by \($0)" } ?? "") from the base model \(Digest(hex: made)?.short ?? made), "
        + "and \"\(base.name)\" is \(base.digest.short): an edit fits no model but the one that it was made from")
  }
}
