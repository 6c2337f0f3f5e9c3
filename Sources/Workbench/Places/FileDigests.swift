internal import Configuration
internal import Foundation
public import Store
internal import Synchronization

/// Digests of files that are hashed once and remembered until they change.
///
/// A file is taken for unchanged while its size, both of its times, its inode and its device are. What is remembered
/// lies in the store as `file-digests.json` and may be deleted at any time.
public final class FileDigests: Sendable {
  private struct Memory {
    var entries: [String: Entry]?
    var isChanged = false
  }

  private struct Entry: Equatable {
    var mark: String
    var digest: Digest
  }

  /// Told while a file is hashed: its path, the bytes that are done, and all of them.
  public typealias Progress = @Sendable (_ path: String, _ done: Int, _ total: Int) -> Void

  private let file: String
  private let memory = Mutex(Memory())
  private let progress: Progress

  /// - Parameters:
  ///   - folder: the store's folder.
  ///   - progress: called on the thread that asks for a digest, for each piece that is read.
  public init(storeFolder folder: String, progress: @escaping Progress = { _, _, _ in }) {
    file = folder + "/file-digests.json"
    self.progress = progress
  }

  /// The digest of one file's bytes.
  /// - Throws: ``StoreError`` `unreadable`.
  public func digest(ofFile path: String) throws(StoreError) -> Digest {
    let key = (path as NSString).standardizingPath
    let full = key.hasPrefix("/") ? key : FileManager.default.currentDirectoryPath + "/" + key
    let before = Self.mark(full)
    if let before, let known = remembered(full), known.mark == before { return known.digest }
    let size = Self.size(full)
    let digest = try Digest.ofFile(at: path) { progress(path, $0, size) }.digest
    // A file that changes while it is read, or that changed a moment ago and may change again within its clock's
    // resolution, is not remembered.
    if let before, before == Self.mark(full), Self.age(full) > 2 {
      memory.withLock { memory in
        memory.entries?[full] = Entry(mark: before, digest: digest)
        memory.isChanged = true
      }
    }
    return digest
  }

  /// One digest for a folder: of its files' names and digests, at any depth; hidden files are passed over, and a link
  /// stands for what it leads to.
  /// - Throws: ``StoreError`` `unreadable`, also for a folder without files: all such folders would share a digest.
  public func digest(ofFolder path: String) throws(StoreError) -> Digest {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
      return try digest(ofFile: path)
    }
    var files: [String: JSON] = [:]
    try collect(path, as: "", inside: [], into: &files)
    guard !files.isEmpty else { throw StoreError(.unreadable, "cannot read \(path): the folder holds no file") }
    return Digest(hashing: JSON.object(files).canonical())
  }

  /// Adds the digests of a folder's files.
  ///
  /// - Parameters:
  ///   - prefix: what their names begin with.
  ///   - above: the places of the folders that lead here. A link back to one of them adds nothing, and would not end.
  private func collect(
    _ folder: String, as prefix: String, inside above: [String], into files: inout [String: JSON]
  ) throws(StoreError) {
    guard let place = Self.place(folder), let names = try? FileManager.default.contentsOfDirectory(atPath: folder)
    else { throw StoreError(.unreadable, "cannot read the folder \(folder)") }
    guard !above.contains(place) else { return }
    for name in names where !name.hasPrefix(".") {
      let path = folder + "/" + name
      var isFolder: ObjCBool = false
      // A link that leads nowhere is no file.
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { continue }
      if isFolder.boolValue {
        try collect(path, as: prefix + name + "/", inside: above + [place], into: &files)
      } else {
        files[prefix + name] = .string(try digest(ofFile: path).hex)
      }
    }
  }

  /// Keeps what was learnt for the next process. A store that cannot be written keeps nothing, and loses nothing.
  public func save() {
    memory.withLock { memory in
      guard memory.isChanged, let entries = memory.entries else { return }
      let json = JSON.object(
        entries.mapValues { ["mark": .string($0.mark), "digest": .string($0.digest.hex)] })
      try? Data(json.canonical().utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
      memory.isChanged = false
    }
  }

  private func remembered(_ path: String) -> Entry? {
    memory.withLock { memory in
      if let entries = memory.entries { return entries[path] }
      let entries = load()
      memory.entries = entries
      return entries[path]
    }
  }

  private func load() -> [String: Entry] {
    guard let data = FileManager.default.contents(atPath: file),
      let members = (try? JSON.parse([UInt8](data), file: file))?.object
    else { return [:] }
    return members.compactMapValues { value in
      guard let mark = value["mark"]?.string, let digest = value["digest"]?.string.flatMap({ Digest(hex: $0) }) else {
        return nil
      }
      return Entry(mark: mark, digest: digest)
    }
  }

  /// What changes whenever a file does.
  private static func mark(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    let (written, changed) = (status.st_mtim, status.st_ctim)
    return "\(status.st_size) \(written.tv_sec).\(written.tv_nsec) \(changed.tv_sec).\(changed.tv_nsec)"
      + " \(status.st_dev).\(status.st_ino)"
  }

  private static func size(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  /// What a file or folder is known by, whichever links lead to it.
  private static func place(_ path: String) -> String? {
    var status = stat()
    return stat(path, &status) == 0 ? "\(status.st_dev).\(status.st_ino)" : nil
  }

  /// The seconds since the file last changed.
  private static func age(_ path: String) -> Double {
    var status = stat()
    guard stat(path, &status) == 0 else { return 0 }
    let changed = Double(status.st_ctim.tv_sec) + Double(status.st_ctim.tv_nsec) * 1e-9
    return Date().timeIntervalSince1970 - changed
  }
}
