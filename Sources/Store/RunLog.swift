public import Configuration
import Glibc

/// The run records of a store: immutable canonical JSON objects, and a reference `runs/ab/cdef...` for each.
///
/// A run's id is the digest of its record. What a record says is not the store's business; the store knows only that
/// every string of 64 hexadecimal digits in it that names an object keeps that object.
public struct RunLog: Sendable {
  public let objects: ObjectStore

  public init(_ objects: ObjectStore) {
    self.objects = objects
  }

  var runsFolder: String { objects.folder + "/runs" }

  func path(of run: Digest) -> String {
    Shards.path(of: run, in: runsFolder)
  }

  /// Keeps a record for good.
  /// - Returns: the run's id.
  @discardableResult
  public func add(_ record: JSON) throws(StoreError) -> Digest {
    let run = try objects.add(record.canonical())
    let temporary = try Disk.writeTemporary(run.hex + "\n", in: objects.temporaryFolder)
    defer { unlink(temporary) }
    try Shards.publish([(run, temporary)], in: runsFolder) { _, temporary, target throws(StoreError) in
      try Disk.move(temporary, to: target)
    }
    return run
  }

  /// A run's record, checked against its id.
  public func record(_ run: Digest) throws(StoreError) -> JSON {
    guard contains(run) else { throw StoreError(.unknownName, "the store \(objects.folder) has no run \(run)") }
    let bytes = try objects.read(run)
    guard let record = try? JSON.parse(bytes, file: "run \(run)") else {
      throw StoreError(.damagedEntry, "the record of run \(run) is not JSON")
    }
    return record
  }

  public func contains(_ run: Digest) -> Bool { Disk.isFile(path(of: run)) }

  /// The ids of all runs, sorted.
  public func list() throws(StoreError) -> [Digest] { try Shards.digests(in: runsFolder) }

  /// Whether the reference reads as the store wrote it. Its name alone says which run it means.
  func isIntact(_ run: Digest) -> Bool {
    (try? Disk.read(path(of: run))) == Array((run.hex + "\n").utf8)
  }
}
