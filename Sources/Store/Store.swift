public import Configuration
import Glibc
import Synchronization

/// A store on the disk: objects, the cache of stages, run records, and an index of the runs.
///
/// The layout is specified in docs/store-format.md. Any number of processes may use one store at once.
public final class Store: Sendable {
  /// The line in the file `format` of every store that this version can use.
  public static let format = "lethe store 1"

  public let folder: String
  public let objects: ObjectStore
  public let cache: StageCache
  public let runs: RunLog

  let reader: RunIndex.Reader
  let warn: @Sendable (String) -> Void
  private let opened = Mutex<RunIndex?>(nil)

  /// Opens the store in `folder`.
  /// - Parameters:
  ///   - create: makes a store that is not there yet; else that is an error.
  ///   - reader: derives the index's rows from a run record.
  ///   - warn: takes a sentence where something was mended or left out; may be called from any thread.
  /// - Throws: ``StoreError`` `unwritable`, `unreadable` or `unsupportedFormat`.
  public init(
    folder: String, create: Bool = true, reader: @escaping RunIndex.Reader,
    warn: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(StoreError) {
    self.folder = folder
    self.reader = reader
    self.warn = warn
    objects = ObjectStore(folder: folder)
    cache = StageCache(objects)
    runs = RunLog(objects)
    try Self.checkFormat(folder, objects.temporaryFolder, create: create)
  }

  private static func checkFormat(_ folder: String, _ temporaryFolder: String, create: Bool) throws(StoreError) {
    let path = folder + "/format"
    if isMissing(path) {
      guard create else {
        throw StoreError(.unreadable, "there is no store in \(folder); run an experiment to make one, or give --store")
      }
      // Another process may do the same at once: the first to link its file wins, and both wrote the same.
      let temporary = try Disk.writeTemporary(format + "\n", in: temporaryFolder)
      defer { unlink(temporary) }
      try Disk.sync(temporary)
      _ = try Disk.moveUnlessPresent(temporary, to: path)
      try Disk.sync(folder)
    }
    let line = String(decoding: try Disk.read(path), as: UTF8.self).split(separator: "\n").first.map(String.init) ?? ""
    guard line == format else {
      throw StoreError(
        .unsupportedFormat,
        "the store \(folder) has the format \"\(line)\", and this version of Lethe knows only \"\(format)\"")
    }
  }

  /// The index of runs, opened (and brought up to date with the records) when it is first asked for.
  public func index() throws(StoreError) -> RunIndex {
    let result: Result<RunIndex, StoreError> = opened.withLock { opened in
      if let index = opened { return .success(index) }
      do throws(StoreError) {
        let index = try RunIndex(runs: runs, reader: reader, warn: warn)
        opened = index
        return .success(index)
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// Keeps a run record for good and adds it to the index.
  ///
  /// The run is safe once its record is: an index that cannot be written costs a warning, and catches up later.
  /// - Returns: the run's id.
  @discardableResult
  public func add(record: JSON) throws(StoreError) -> Digest {
    let index: Result<RunIndex, StoreError>
    do throws(StoreError) { index = .success(try self.index()) } catch { index = .failure(error) }
    let run = try runs.add(record)
    do {
      let facts = try reader(record, run)
      try index.get().add(facts)
    } catch {
      warn("run \(run.short) is recorded but not in the index: \(error)")
    }
    return run
  }
}
