public import Configuration
internal import GRDB
import Glibc
import Synchronization

/// A view of the run records in SQLite (`index.sqlite`), for listing and searching.
///
/// The records are the truth: the index catches up with them whenever it is opened, is made anew where it is missing or
/// damaged, and can be deleted at any time. Where the store cannot be written, the view is kept in memory.
public final class RunIndex: Sendable {
  /// Derives the index's rows from a run record; throws if the record cannot be understood.
  public typealias Reader = @Sendable (_ record: JSON, _ run: Digest) throws -> RunFacts

  let runs: RunLog
  let reader: Reader
  let warn: @Sendable (String) -> Void
  private let connection: Mutex<any DatabaseWriter>
  /// The runs that were left out with a warning: one is enough, however often the records are gone through.
  private let leftOut = Mutex<Set<Digest>>([])

  var path: String { Self.path(in: runs.objects.folder) }

  static func path(in folder: String) -> String { folder + "/index.sqlite" }

  /// Opens the index, makes it if it is not there, and catches up with the records.
  ///
  /// A writer opens it before it adds its first record, so that records without an index mean that one was deleted.
  /// - Parameter warn: takes a sentence where something was mended or left out.
  init(runs: RunLog, reader: @escaping Reader, warn: @escaping @Sendable (String) -> Void) throws(StoreError) {
    self.runs = runs
    self.reader = reader
    self.warn = warn
    let folder = runs.objects.folder
    let opened = try Self.open(in: folder, warn: warn)
    connection = Mutex(opened.connection)
    let added = try catchUp()
    if opened.isNew && added > 0 {
      warn("the index \(Self.path(in: folder)) was missing; it has been rebuilt from \(added) run records")
    }
  }

  // MARK: Opening

  /// - Parameter replacing: whether what is there is known to be damaged.
  private static func open(
    in folder: String, replacing: Bool = false, warn: @Sendable (String) -> Void
  ) throws(StoreError) -> (connection: any DatabaseWriter, isNew: Bool) {
    let path = path(in: folder)
    do {
      // One process at a time sets the journal mode and migrates: SQLite's own locks do not cover a fresh file.
      guard let lock = try FileLock(folder + "/index.lock") else {
        let connection = try DatabaseQueue()
        try IndexSchema.migrator.migrate(connection)
        return (connection, false)
      }
      defer { lock.release() }
      // Under the lock, all of it: a file that another process is just making is neither missing nor to be removed.
      if replacing { try removeFiles(path) }
      let isNew = !replacing && !Disk.isFile(path)
      do {
        return (try connect(path), isNew)
      } catch let error as DatabaseError where isDamage(error) {
        warn("the index \(path) is damaged (\(error.message ?? "no reason given")); it is rebuilt from the run records")
      } catch is Superseded {
        warn("the index \(path) was made by a later version of Lethe; it is rebuilt from the run records")
      }
      try removeFiles(path)
      return (try connect(path), false)
    } catch let error as StoreError {
      throw error
    } catch {
      throw failure(path, error)
    }
  }

  private static func removeFiles(_ path: String) throws(StoreError) {
    for suffix in ["", "-wal", "-shm"] { try Disk.remove(path + suffix) }
  }

  private struct Superseded: Error {}

  private static func connect(_ path: String) throws -> any DatabaseWriter {
    var configuration = GRDB.Configuration()
    configuration.busyMode = .timeout(30)
    configuration.prepareDatabase { database in
      // The index may lose its last transactions in a power cut: the next opening catches up.
      try database.execute(sql: "PRAGMA synchronous = NORMAL")
    }
    let pool = try DatabasePool(path: path, configuration: configuration)
    let migrator = IndexSchema.migrator
    if try pool.read(migrator.hasBeenSuperseded) { throw Superseded() }
    try migrator.migrate(pool)
    // Touches every table's root page, so that most damage shows here rather than in the middle of a listing.
    try pool.read { database in
      for table in IndexSchema.tables { _ = try Int.fetchOne(database, sql: "SELECT 1 FROM \(table) LIMIT 1") }
    }
    return pool
  }

  static func isDamage(_ error: DatabaseError) -> Bool {
    // "SQL logic error" is what a foreign database with tables of the same names answers.
    [.SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_ERROR].contains(error.resultCode)
  }

  private static func failure(_ path: String, _ error: any Error) -> StoreError {
    let reason = (error as? DatabaseError)?.message ?? String(describing: error)
    return StoreError(.index, "the index \(path) cannot be used: \(reason)")
  }

  // MARK: Access

  func read<Value: Sendable>(_ body: @Sendable (Database) throws -> Value) throws(StoreError) -> Value {
    try access { try $0.read(body) }
  }

  func write<Value: Sendable>(_ body: @Sendable (Database) throws -> Value) throws(StoreError) -> Value {
    try access { try $0.write(body) }
  }

  /// Runs `body` once, and once more on a rebuilt index if the first attempt met damage.
  private func access<Value>(_ body: (any DatabaseWriter) throws -> Value) throws(StoreError) -> Value {
    do {
      return try body(connection.withLock { $0 })
    } catch let error as DatabaseError where Self.isDamage(error) {
      try replace(because: error)
    } catch let error as StoreError {
      throw error
    } catch {
      throw Self.failure(path, error)
    }
    do {
      return try body(connection.withLock { $0 })
    } catch {
      throw (error as? StoreError) ?? Self.failure(path, error)
    }
  }

  private func replace(because error: DatabaseError) throws(StoreError) {
    warn("the index \(path) is damaged (\(error.message ?? "no reason given")); it is rebuilt from the run records")
    try? connection.withLock { $0 }.close()
    let opened = try Self.open(in: runs.objects.folder, replacing: true, warn: warn)
    connection.withLock { $0 = opened.connection }
    try catchUp()
  }

  // MARK: Filling

  /// Adds one run; adding it again changes nothing.
  func add(_ facts: RunFacts) throws(StoreError) {
    try write { try Self.insert(facts, $0) }
  }

  /// Empties the index and derives it anew from all records.
  /// - Returns: how many runs it holds now.
  @discardableResult
  public func rebuild() throws(StoreError) -> Int {
    let facts = facts(of: try runs.list())
    try write { database in
      try Self.clear(database)
      for facts in facts { try Self.insert(facts, database) }
    }
    // Runs that another process added in the meantime.
    return facts.count + (try catchUp())
  }

  /// Adds the runs that the index lacks (another process was killed, or a store was copied in) and forgets those whose
  /// reference is gone.
  /// - Returns: how many runs were added.
  @discardableResult
  func catchUp() throws(StoreError) -> Int {
    // In this order: a reference is older than its row, so a row without a reference is a run that is gone, and not one
    // that another process is just adding.
    let held = Set(try read { try String.fetchAll($0, sql: "SELECT run_id FROM run") })
    let known = try runs.list()
    let missing = held.isEmpty ? known : known.filter { !held.contains($0.hex) }
    let isLonger = held.count > known.count - missing.count
    guard !missing.isEmpty || isLonger else { return 0 }
    let added = facts(of: missing)
    let gone = isLonger ? held.subtracting(known.map(\.hex)).sorted() : []
    try write { database in
      for facts in added { try Self.insert(facts, database) }
      for run in gone { try database.execute(sql: "DELETE FROM run WHERE run_id = ?", arguments: [run]) }
    }
    return added.count
  }

  private func facts(of runs: [Digest]) -> [RunFacts] {
    runs.compactMap { run in
      do {
        return try reader(try self.runs.record(run), run)
      } catch {
        if leftOut.withLock({ $0.insert(run).inserted }) {
          warn("run \(run.short) is left out of the index: \(error)")
        }
        return nil
      }
    }
  }

  private static func clear(_ database: Database) throws {
    for table in IndexSchema.tables.reversed() { try database.execute(sql: "DELETE FROM \(table)") }
  }

  private static func insert(_ facts: RunFacts, _ database: Database) throws {
    let run = facts.run
    let id = run.runID.hex
    try database.cachedStatement(sql: "INSERT OR IGNORE INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").execute(
      arguments: [
        id, run.configHash.hex, run.groupHash.hex, run.experiment, run.technique, run.seed, run.status, run.error,
        run.started, run.finished, run.settings,
      ])
    // The rows are a function of the record: if the run is there, so is the rest.
    guard database.changesCount > 0 else { return }
    for (position, tag) in facts.tags.enumerated() {
      try database.cachedStatement(sql: "INSERT INTO tag (run_id, tag, position) VALUES (?, ?, ?)")
        .execute(arguments: [id, tag, position])
    }
    for (position, metric) in facts.metrics.enumerated() {
      try database.cachedStatement(sql: "INSERT INTO metric VALUES (?, ?, ?, ?, ?, ?, ?, ?)").execute(
        arguments: [
          id, position, metric.name, metric.value, metric.direction, metric.unit, metric.count, metric.judge,
        ])
    }
    for (position, output) in facts.outputs.enumerated() {
      try database.cachedStatement(sql: "INSERT INTO output VALUES (?, ?, ?, ?)")
        .execute(arguments: [id, position, output.name, output.digest.hex])
    }
    for (position, stage) in facts.stages.enumerated() {
      try database.cachedStatement(sql: "INSERT INTO stage VALUES (?, ?, ?, ?, ?, ?)")
        .execute(arguments: [id, position, stage.name, stage.key.hex, stage.cached, stage.seconds])
    }
  }
}
