import Dispatch
import Glibc
import Synchronization

/// Objects that become visible together, for the price of about one sync.
///
/// ``add(_:)-(UnsafeRawBufferPointer)`` writes temporary files at once, so that a batch of any size needs little
/// memory; ``commit()`` syncs and names them. A batch dropped before its commit leaves nothing behind. A batch
/// belongs to one thread; any number of batches may work on one store.
public final class ObjectBatch {
  private let store: ObjectStore
  private var pending: [(digest: Digest, temporary: String)] = []
  private var known: Set<Digest> = []

  public init(_ store: ObjectStore) {
    self.store = store
  }

  deinit { discard() }

  /// Adds one object; it can be read after ``commit()``.
  public func add(_ bytes: UnsafeRawBufferPointer) throws(StoreError) -> Digest {
    let digest = Digest(hashing: bytes)
    if isThere(digest, size: bytes.count) { return digest }
    pending.append((digest, try Disk.writeTemporary(bytes, in: store.temporaryFolder)))
    known.insert(digest)
    return digest
  }

  public func add(_ bytes: [UInt8]) throws(StoreError) -> Digest {
    // `withUnsafeBytes` does not carry typed errors through, hence the Result.
    let result: Result<Digest, StoreError> = bytes.withUnsafeBytes { buffer in
      do throws(StoreError) { return .success(try add(buffer)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  /// Adds a file of any size, hashing while it copies.
  public func add(fileAt path: String) throws(StoreError) -> Digest {
    let (target, temporary) = try Disk.openTemporary(in: store.temporaryFolder)
    var stream = DigestStream()
    var size = 0
    do throws(StoreError) {
      defer { close(target) }
      try Disk.forEachPiece(of: path) { piece throws(StoreError) in
        stream.update(piece)
        size += piece.count
        try Disk.writeAll(piece, to: target, path: temporary)
      }
    } catch {
      unlink(temporary)
      throw error
    }
    let digest = stream.finish()
    if isThere(digest, size: size) {
      unlink(temporary)
    } else {
      pending.append((digest, temporary))
      known.insert(digest)
    }
    return digest
  }

  /// Makes all added objects durable and visible, in this order: bytes synced, names given, folders synced.
  public func commit() throws(StoreError) {
    guard !pending.isEmpty else { return }
    defer { discard() }
    try Shards.publish(pending, in: store.objectsFolder) { _, temporary, target throws(StoreError) in
      // Renaming over an object of the same name replaces it by the same bytes (or mends a damaged one).
      try Disk.move(temporary, to: target)
    }
    pending = []
    known = []
  }

  /// Whether the store has the object already; if so, tells a collector that it is wanted again.
  private func isThere(_ digest: Digest, size: Int) -> Bool {
    if known.contains(digest) { return true }
    let path = store.path(of: digest)
    // Another size is damage that costs nothing to see: the object is then written anew.
    guard Disk.size(of: path) == size else { return false }
    Disk.freshen(path)
    return true
  }

  private func discard() {
    for (_, temporary) in pending { unlink(temporary) }
    pending = []
    known = []
  }
}

/// Syncs many files or folders. Journalling file systems merge syncs that wait at the same time into one commit, so
/// they are issued from several threads.
func syncAll(_ paths: [String]) throws(StoreError) {
  if paths.count == 1 { return try Disk.sync(paths[0]) }
  let failure = Mutex<StoreError?>(nil)
  let lanes = min(paths.count, 16)
  DispatchQueue.concurrentPerform(iterations: lanes) { lane in
    for index in stride(from: lane, to: paths.count, by: lanes) {
      do throws(StoreError) { try Disk.sync(paths[index]) } catch {
        failure.withLock { if $0 == nil { $0 = error } }
      }
    }
  }
  if let error = failure.withLock({ $0 }) { throw error }
}
