internal import Configuration
public import Diffusion
public import Store

/// A base model's folder and the digests of what lies in it, without the model itself, which is loaded when it is
/// needed.
public struct BaseModel: Sendable {
  /// As the experiment names it.
  public let name: String
  public let folder: String
  /// The files that decide what the model computes, by path in the folder.
  public let files: [String: Digest]
  /// The digest of these files: what the keys of stages call the model.
  public let digest: Digest
  /// What the model says about itself, if its folder has a `lethe.json`.
  public let card: ModelCard?
  /// The digest of that file.
  public let cardDigest: Digest?

  /// What the config hash calls the model: the same wherever its folder lies.
  public var identity: String {
    guard let cardDigest else { return "sha256:\(digest.hex)" }
    return "sha256:\(Digest(hashing: "\(digest.hex) \(cardDigest.hex)").hex)"
  }

  /// The scheduler that the folder names.
  var scheduler: Scheduler {
    get throws { try DiffusionModel.Architecture(of: folder).scheduler.scheduler }
  }

  /// What an experiment depends on of the model.
  public var declaration: BaseDeclaration {
    // One that cannot be read is refused by its file when the model is loaded.
    let tokenizer = try? CLIPTokenizer(folder: ModelFiles.place(of: folder) + "/tokenizer")
    return BaseDeclaration(identity: identity, card: card, tokenizer: tokenizer)
  }

  /// Reads a folder's digests and its card.
  ///
  /// - Throws: `StoreError` for a file that cannot be read, `ModelCardError` for a card that is not one.
  public init(name: String, folder: String, digests: FileDigests) throws {
    var files: [String: Digest] = [:]
    // A model in a single file is named by the file, and what else is read lies beside it.
    let place = ModelFiles.place(of: folder)
    for file in try ModelFiles.list(of: folder) { files[file] = try digests.digest(ofFile: "\(place)/\(file)") }
    let card = try ModelCard.load(folder: folder)
    self.name = name
    self.folder = folder
    self.files = files
    digest = Digest(hashing: JSON.object(files.mapValues { .string($0.hex) }).canonical())
    self.card = card
    cardDigest = card == nil ? nil : try digests.digest(ofFile: folder + "/" + ModelCard.fileName)
  }

  /// The file of the sparse autoencoder that the model declares for a layer.
  ///
  /// - Throws: `ConfigurationError` where it declares none, which says what to do.
  func declaredAutoencoder(of layer: String) throws(ConfigurationError) -> String {
    if let path = card?.sparseAutoencoders?[layer] { return "\(folder)/\(path)" }
    let others = (card?.sparseAutoencoders ?? [:]).keys.sorted()
    let found = others.isEmpty ? "none" : "some for \(others.joined(separator: ", "))"
    throw ConfigurationError(
      keyPath: "technique.config.autoencoder_path",
      "the base model \"\(name)\" declares no sparse autoencoder for the hookpoint \(layer) (it declares \(found)): "
        + "name a file that lethe train sae wrote, or set training_prompts to train one here")
  }

  /// How the record of a run names the model.
  var json: JSON {
    var json: [String: JSON] = [
      "name": .string(name), "folder": .string(folder), "digest": .string(digest.hex),
      "files": .object(files.mapValues { .string($0.hex) }),
    ]
    json["card"] = cardDigest.map { .string($0.hex) }
    return .object(json)
  }
}

/// Base models that have been looked up already, and the one that is loaded.
final class BaseModels {
  let locations: Locations
  let digests: FileDigests
  private var known: [String: BaseModel] = [:]
  private var loaded: (identity: String, model: DiffusionModel)?

  init(locations: Locations, digests: FileDigests) {
    self.locations = locations
    self.digests = digests
  }

  /// - Parameters:
  ///   - name: a name, or a path with a slash in it.
  ///   - start: the folder that a relative one is seen from.
  func base(_ name: String, from start: String) throws -> BaseModel {
    let folder = try locations.modelFolder(name, from: start)
    if let base = known[folder] { return base }
    let base = try BaseModel(name: name, folder: folder, digests: digests)
    known[folder] = base
    return base
  }

  /// The model itself. The last one stays loaded, because points of a sweep share it; a model has its card with it, so
  /// equal weights alone do not make it the same one.
  func load(_ base: BaseModel) throws -> DiffusionModel {
    if let loaded, loaded.identity == base.identity { return loaded.model }
    loaded = nil
    let model = try DiffusionModel(folder: base.folder)
    // What is computed with it is kept under the digest that its files had when they were looked up.
    let now = try BaseModel(name: base.name, folder: base.folder, digests: digests)
    guard now.identity == base.identity else {
      throw ConfigurationError("the base model \(base.folder) changed while the experiment was being prepared")
    }
    loaded = (base.identity, model)
    return model
  }

  /// What the loaded model's files do not say and was taken for granted.
  var assumptions: [String] { loaded?.model.assumptions ?? [] }

  /// - Throws: `ModelFolderError` naming a file of the loaded model that is not as it was.
  func confirmUnchanged() throws { try loaded?.model.confirmUnchanged() }
}
