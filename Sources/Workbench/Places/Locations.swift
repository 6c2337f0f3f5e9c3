internal import Configuration
internal import Diffusion
internal import Foundation
internal import Tensors

/// Where things are: the store, and base models by name.
public struct Locations: Sendable {
  /// A place that cannot be found, in one sentence.
  public struct NotFound: Error, Equatable, CustomStringConvertible {
    public let description: String
  }

  /// The folder of the store.
  public let store: String
  /// The folders that base models are looked for in, by name, the first one first.
  public let modelFolders: [String]

  /// - Parameters:
  ///   - store: the store to use; the one of the enclosing repository if nil, and `lethe-store` outside of any.
  ///   - folder: where the search for a repository begins.
  ///   - executable: this program's own file, beside which an installation keeps its models.
  public init(
    store: String? = nil, from folder: String = Locations.currentFolder, executable: String = Locations.executable
  ) {
    let repository = Self.repository(around: folder)
    self.store = store ?? repository.map { $0 + "/store" } ?? folder + "/lethe-store"
    var folders = [self.store + "/models"]
    if let repository { folders.append(repository + "/store/models") }
    let programs = (executable as NSString).deletingLastPathComponent
    folders.append((programs as NSString).deletingLastPathComponent + "/share/lethe/models")
    // A program that lies where it was built still finds the models of its repository.
    if let home = Self.repository(around: programs) { folders.append(home + "/store/models") }
    modelFolders = folders.enumerated().filter { folders[..<$0.offset].contains($0.element) == false }.map(\.element)
  }

  /// The folder that the program was started in.
  public static var currentFolder: String { FileManager.default.currentDirectoryPath }

  /// The file of this program.
  public static var executable: String {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
      ?? CommandLine.arguments.first ?? ""
  }

  /// The nearest folder at or above `folder` that holds a git repository.
  public static func repository(around folder: String) -> String? {
    var path = (folder as NSString).standardizingPath
    while !path.isEmpty {
      // In a worktree `.git` is a file.
      if FileManager.default.fileExists(atPath: path + "/.git") { return path == "/" ? "" : path }
      if path == "/" { return nil }
      path = (path as NSString).deletingLastPathComponent
    }
    return nil
  }

  /// A base model that the command line names. A folder is meant from where the command is typed, not from the file
  /// that the command reads.
  static func absoluteModel(_ model: String) -> String {
    model.contains("/") && !model.hasPrefix("/") ? currentFolder + "/" + model : model
  }

  /// The models that the user of the store has given names.
  public var registry: ModelRegistry { ModelRegistry(store: store) }

  /// The names of all base models that can be used by name, sorted.
  ///
  /// - Throws: what ``ModelRegistry/folders()`` does.
  public var modelNames: [String] {
    get throws { Set(shippedNames).union(try registry.folders().keys).sorted() }
  }

  /// The names of the models that lie in ``modelFolders``, sorted.
  var shippedNames: [String] {
    var names: [String] = []
    for folder in modelFolders {
      for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      where !names.contains(name) && Self.isModel(folder + "/" + name) { names.append(name) }
    }
    return names.sorted()
  }

  /// The folder of a base model, or its file where it is a single one: a registered name goes before that of a model in
  /// ``modelFolders``.
  ///
  /// - Parameters:
  ///   - model: a name, or a path with a slash in it.
  ///   - start: the folder that a relative one is seen from.
  /// - Throws: ``NotFound`` naming the nearest model there is, or what is wrong with the registry.
  public func modelFolder(_ model: String, from start: String) throws(NotFound) -> String {
    guard model.contains("/") else {
      let registered: [String: String]
      do { registered = try registry.folders() } catch { throw NotFound(description: "\(error)") }
      if let folder = registered[model] {
        guard Self.isModel(folder) || ModelFiles.isSingleFile(folder) else {
          throw Self.noModel(at: folder, registeredAs: model)
        }
        return folder
      }
      for folder in modelFolders where Self.isModel(folder + "/" + model) { return folder + "/" + model }
      let names = Set(shippedNames).union(registered.keys).sorted()
      let known =
        names.isEmpty ? "; looked in \(modelFolders.joined(separator: ", "))" : suggestion(for: model, among: names)
      throw NotFound(description: "there is no base model \"\(model)\"" + known)
    }
    let path = model.hasPrefix("/") || start == "." || start.isEmpty ? model : start + "/" + model
    guard Self.isModel(path) || ModelFiles.isSingleFile(path) else { throw Self.noModel(at: path) }
    return path
  }

  /// Why a path is not taken for that of a model.
  static func noModel(at path: String) -> NotFound {
    let (kind, decisive) = decisiveFile(path)
    guard isMissing(decisive) else {
      return NotFound(description: "the model \(kind) \(path) \(readingProblem(of: decisive))")
    }
    return NotFound(
      description: kind == .file
        ? "there is no model file \(path)"
        : "there is no base model in the folder \(path): it has no model_index.json")
  }

  /// The same for one that has a name.
  private static func noModel(at path: String, registeredAs name: String) -> NotFound {
    let (kind, decisive) = decisiveFile(path)
    let reason = kind == .file ? "is not there any more" : "is no model any more: it has no model_index.json"
    let which = readingProblem(of: decisive, missing: "\(reason); lethe models remove \(name) forgets it")
    return NotFound(description: "the model \"\(name)\" is registered as the \(kind) \(path), which \(which)")
  }

  private enum Kind {
    case file, folder
  }

  /// What would be there if a path were that of a model: the file itself, or the index in the folder.
  private static func decisiveFile(_ path: String) -> (kind: Kind, path: String) {
    // A folder may be called as files are.
    TensorFile.isNamed(path) && !FileManager.default.fileExists(atPath: path)
      ? (.file, path) : (.folder, path + "/model_index.json")
  }

  static func isModel(_ folder: String) -> Bool {
    FileManager.default.fileExists(atPath: folder + "/model_index.json")
  }
}
