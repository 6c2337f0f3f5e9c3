internal import Configuration
public import Diffusion
internal import Foundation
public import Store

/// A model that experiments and commands can name, as `lethe models` lists it.
public struct KnownModel: Sendable {
  public let name: String
  public let folder: String
  /// Whether the user of the store gave it the name; else it lies in one of ``Locations/modelFolders``.
  public let isRegistered: Bool
  /// Nil for a folder that is no model, or none any more; ``problem`` says why.
  public let summary: ModelSummary?
  /// What run records call the model.
  public let digest: Digest?
  /// What is wrong with the folder, in one sentence.
  public let problem: String?

  init(name: String, folder: String, isRegistered: Bool, digests: FileDigests) {
    (self.name, self.folder, self.isRegistered) = (name, folder, isRegistered)
    let found = Result {
      (try ModelSummary(folder: folder), try BaseModel(name: name, folder: folder, digests: digests).digest)
    }
    switch found {
    case .success(let model): (summary, digest, problem) = (model.0, model.1, nil)
    case .failure(let error): (summary, digest, problem) = (nil, nil, "\(error)")
    }
  }
}

extension Locations {
  /// All models that can be named, by name. What the digests learn is kept.
  ///
  /// - Throws: what ``ModelRegistry/folders()`` does.
  public func knownModels(_ digests: FileDigests) throws -> [KnownModel] {
    defer { digests.save() }
    let registered = try registry.folders()
    return try modelNames.map { name in
      // A registered folder that is gone is listed as such.
      let folder = try registered[name] ?? modelFolder(name, from: ".")
      return KnownModel(name: name, folder: folder, isRegistered: registered[name] != nil, digests: digests)
    }
  }

  /// What there is to know of one model.
  ///
  /// - Parameter model: a name, or a path with a slash in it
  /// - Throws: ``NotFound``, and ``ModelRegistry/Refusal`` with what is wrong with its folder
  public func knownModel(_ model: String, _ digests: FileDigests) throws -> KnownModel {
    defer { digests.save() }
    let isRegistered = try registry.folders()[model] != nil
    let known = KnownModel(
      name: model, folder: try modelFolder(model, from: "."), isRegistered: isRegistered, digests: digests)
    if let problem = known.problem { throw ModelRegistry.Refusal(description: problem) }
    return known
  }

  /// Gives a model a name, by which it can be used from then on. It has to open, and its files are hashed once. The
  /// store is made where it is missing.
  ///
  /// - Parameters:
  ///   - folder: the model's, or its file where it is a single one, seen from where the program was started
  ///   - taken: names that mean something else already, of techniques and metrics for example
  /// - Throws: ``ModelRegistry/Refusal`` for a name that cannot be given; what the folder is refused for.
  public func register(
    _ name: String, folder: String, taken: [String], digests: FileDigests
  ) throws -> KnownModel {
    try refuse(name, taken: taken)
    let full = URL(fileURLWithPath: folder).standardizedFileURL.path
    guard Self.isModel(full) || ModelFiles.isSingleFile(full) else { throw Self.noModel(at: folder) }
    // All that drawing with it would refuse is refused now.
    _ = try DiffusionModel(folder: full)
    let model = KnownModel(name: name, folder: full, isRegistered: true, digests: digests)
    if let problem = model.problem { throw ModelRegistry.Refusal(description: problem) }
    // What is refused leaves no store behind.
    _ = try Store.open(store)
    digests.save()
    try registry.add(name, folder: full)
    return model
  }

  private func refuse(_ name: String, taken: [String]) throws {
    func refusal(_ reason: String) -> ModelRegistry.Refusal {
      ModelRegistry.Refusal(description: "\"\(name)\" cannot be the name of a model: \(reason)")
    }
    if name.contains("/") || name.hasPrefix(".") || name.hasPrefix("~") {
      throw refusal("it looks like a path, and paths mean folders and files")
    }
    let isPlain = name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
    guard !name.isEmpty, name.utf8.count <= 64, isPlain, !name.hasPrefix("-") else {
      throw refusal("a name has letters, digits, \"-\", \"_\" and \".\", 64 at most, and begins with no \"-\"")
    }
    if name == "shapes" { throw refusal("the model that comes with Lethe is called so") }
    if taken.contains(name) { throw refusal("a technique, an attack or a metric is called so") }
    if shippedNames.contains(name) { throw refusal("the model in \(try modelFolder(name, from: ".")) is called so") }
  }
}
