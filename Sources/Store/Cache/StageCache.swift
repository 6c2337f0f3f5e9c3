internal import Configuration
import Glibc

/// Which stages have been computed already, and with what outcome: `cache/ab/cdef...`, one small file for each key.
///
/// A key once answered is never answered otherwise. Any number of threads and processes may use one cache at once.
public struct StageCache: Sendable {
  /// What became of an entry that was put.
  public enum PutResult: Equatable, Sendable {
    /// The key was new, or what was recorded for it cannot be read any more.
    case stored
    /// The same outputs were recorded for the key before.
    case known
    /// Other outputs are recorded for the key: they stay, and the disagreement is kept in `conflicts/`.
    case conflict(CacheConflict)
  }

  public let objects: ObjectStore

  public init(_ objects: ObjectStore) {
    self.objects = objects
  }

  var entriesFolder: String { objects.folder + "/cache" }
  var conflictsFolder: String { objects.folder + "/conflicts" }

  func path(of key: Digest) -> String {
    Shards.path(of: key, in: entriesFolder)
  }

  // MARK: Reading

  /// The entry of a stage whose outputs are all in the store; nil is a miss.
  ///
  /// An entry whose objects are gone is a miss as well: computing the stage again brings them back.
  public func lookup(_ key: StageKey) throws(StoreError) -> CacheEntry? {
    guard let entry = try entry(key.digest), isAnswerable(entry) else { return nil }
    return entry
  }

  /// The entry recorded for a key, whether or not its outputs are there still.
  /// - Throws: ``StoreError`` `damagedEntry` if the file is not what the store wrote, `unreadable` if it cannot be
  ///   read.
  public func entry(_ key: Digest) throws(StoreError) -> CacheEntry? {
    let path = path(of: key)
    guard Disk.isFile(path) else { return nil }
    // Read outside of the `try?`: what cannot be read just now is not damaged.
    let bytes = try Disk.read(path)
    guard let json = try? JSON.parse(bytes, file: path), let entry = CacheEntry(json: json),
      entry.key.digest == key
    else {
      throw StoreError(
        .damagedEntry, "cache entry \(key) is damaged; remove \(path) and the stage is computed again")
    }
    return entry
  }

  /// The keys of all entries, sorted.
  public func list() throws(StoreError) -> [Digest] {
    try Shards.digests(in: entriesFolder)
  }

  /// All disagreements on record, by key.
  public func conflicts() throws(StoreError) -> [CacheConflict] {
    var conflicts: [CacheConflict] = []
    for name in try Disk.names(in: conflictsFolder) {
      let path = conflictsFolder + "/" + name
      let bytes = try Disk.read(path)
      guard let json = try? JSON.parse(bytes, file: path), let conflict = CacheConflict(json: json) else {
        throw StoreError(.damagedEntry, "the conflict record \(path) is damaged")
      }
      conflicts.append(conflict)
    }
    return conflicts
  }

  private func isAnswerable(_ entry: CacheEntry) -> Bool {
    entry.outputs.values.allSatisfy(objects.contains)
  }

  // MARK: Writing

  /// Records one computed stage; see ``put(_:)-([CacheEntry])``.
  @discardableResult
  public func put(_ entry: CacheEntry) throws(StoreError) -> PutResult {
    try put([entry])[0]
  }

  /// Records computed stages, whose outputs must be in the store already, for the price of about one sync.
  ///
  /// An entry is never overwritten while it can answer: other outputs for a known key become a conflict on record.
  /// - Throws: ``StoreError`` `missingObject` if an output is not in the store.
  @discardableResult
  public func put(_ entries: [CacheEntry]) throws(StoreError) -> [PutResult] {
    var temporaries: [String] = []
    // What is left here at the end was not given a name.
    defer { for path in temporaries { unlink(path) } }
    for entry in entries {
      for (name, digest) in entry.outputs.sorted(by: { $0.key < $1.key }) where !objects.contains(digest) {
        throw StoreError(
          .missingObject, "output \(name) of stage \(entry.key.stage) is not in the store: \(digest)")
      }
      temporaries.append(try Disk.writeTemporary(entry.json.canonical(), in: objects.temporaryFolder))
    }
    let files = zip(entries, temporaries).map { (digest: $0.key.digest, temporary: $1) }
    return try Shards.publish(files, in: entriesFolder) { index, temporary, target throws(StoreError) in
      try publish(entries[index], temporary, target)
    }
  }

  private func publish(_ entry: CacheEntry, _ temporary: String, _ target: String) throws(StoreError) -> PutResult {
    if try Disk.moveUnlessPresent(temporary, to: target) { return .stored }
    let recorded: CacheEntry?
    do throws(StoreError) {
      recorded = try self.entry(entry.key.digest)
    } catch {
      // An entry that cannot be read just now may be whole: only one that is damaged may be written over.
      guard error.code == .damagedEntry else { throw error }
      recorded = nil
    }
    if let recorded, recorded.outputs == entry.outputs { return .known }
    if let recorded, isAnswerable(recorded) {
      let conflict = CacheConflict(recorded: recorded, found: entry)
      try record(conflict)
      return .conflict(conflict)
    }
    // What is on record is damaged, or its objects are gone: it can never answer again, so the new entry takes over.
    try Disk.move(temporary, to: target)
    return .stored
  }

  private func record(_ conflict: CacheConflict) throws(StoreError) {
    let temporary = try Disk.writeTemporary(conflict.json.canonical(), in: objects.temporaryFolder)
    defer { unlink(temporary) }
    try Disk.sync(temporary)
    try Disk.makeDurableFolder(conflictsFolder)
    if try Disk.moveUnlessPresent(temporary, to: conflictsFolder + "/" + conflict.fileName) {
      try Disk.sync(conflictsFolder)
    }
  }
}
