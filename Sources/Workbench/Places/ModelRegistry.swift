internal import Configuration
internal import Store

/// The model folders, and models in single files, that the user of a store has given names: the file `models.json` of
/// the store, where `folder` is either.
///
/// A registered name means its folder wherever an experiment or a command names a model. The registry holds no model:
/// folders stay where they are, and whoever moves one registers it anew.
public struct ModelRegistry: Sendable {
  /// What cannot be registered or taken out, in one sentence.
  public struct Refusal: Error, Equatable, CustomStringConvertible {
    public let description: String
  }

  static let format = "lethe models 1"

  private let store: String
  private var file: String { store + "/models.json" }

  /// - Parameter store: the folder of the store, which need not be there yet
  public init(store: String) { self.store = store }

  /// The folders by name.
  ///
  /// - Throws: `JSONError` for a file that is no JSON, ``Refusal`` for one that is no registry.
  public func folders() throws -> [String: String] {
    if isMissing(file) { return [:] }
    let json = try JSON.read(file)
    guard json["format"]?.string == Self.format, let models = json["models"]?.object else {
      throw damaged("it is not a registry of the format \"\(Self.format)\"")
    }
    return try models.reduce(into: [:]) { folders, model in
      guard let folder = model.value["folder"]?.string, folder.hasPrefix("/") else {
        throw damaged("the model \"\(model.key)\" has no absolute folder")
      }
      folders[model.key] = folder
    }
  }

  private func damaged(_ problem: String) -> Refusal {
    Refusal(description: "\(file): \(problem); mend it, or remove it and register the models again")
  }

  /// Gives a folder a name. The folder is not looked at: that is for whoever registers it.
  ///
  /// - Throws: ``Refusal`` for a name that is registered already, `FileError` or `StoreError` where the file cannot be
  ///   written.
  func add(_ name: String, folder: String) throws {
    try change { folders in
      if let other = folders[name] {
        throw Refusal(
          description: "\"\(name)\" is the model in \(other) already; lethe models remove \(name) frees the name")
      }
      folders[name] = folder
    }
  }

  /// Forgets a name; the folder stays as it is.
  ///
  /// - Returns: the folder
  /// - Throws: ``Refusal`` for a name that is not registered.
  @discardableResult
  public func remove(_ name: String) throws -> String {
    func unknown(among names: [String]) -> Refusal {
      Refusal(description: "no model \"\(name)\" is registered in \(file)" + suggestion(for: name, among: names))
    }
    // A change begins with the files of a store, which a refusal should not leave.
    guard !isMissing(file) else { throw unknown(among: []) }
    var removed = ""
    try change { folders in
      guard let folder = folders.removeValue(forKey: name) else { throw unknown(among: folders.keys.sorted()) }
      removed = folder
    }
    return removed
  }

  /// Reads, changes and writes the registry, alone among all processes.
  private func change(_ body: (inout [String: String]) throws -> Void) throws {
    try WholeFile.makeFolder(store)
    guard let lock = try FileLock(store + "/models.lock") else {
      throw FileError(file, "cannot be written: the store is read-only")
    }
    defer { lock.release() }
    var folders = try folders()
    try body(&folders)
    let json: JSON = [
      "format": .string(Self.format), "models": .object(folders.mapValues { ["folder": .string($0)] }),
    ]
    try WholeFile.write(json.pretty() + "\n", to: file)
  }
}
