internal import Configuration

/// Which objects are kept alive, and by what.
///
/// A reference is any string of 64 lower-case hexadecimal digits in a record, a cache entry, a conflict or a JSON
/// object that one of these leads to, provided it names an object. This reads more as references than was meant (a
/// config hash is tried too, and names nothing), and never less: a new field in a record needs no change here.
struct References {
  let store: Store
  private(set) var reached: Set<Digest> = []

  init(_ store: Store) {
    self.store = store
  }

  /// Follows all that begins in run records, cache entries and conflicts.
  ///
  /// - Parameter progress: the number of records and entries that are followed, and of all.
  /// - Throws: ``StoreError`` if one of them, or a manifest that they lead to, cannot be read: what it referred to is
  ///   then unknown.
  mutating func markAll(progress: (Int, Int) -> Void) throws(StoreError) {
    let (runs, keys) = (try store.runs.list(), try store.cache.list())
    for (done, run) in runs.enumerated() {
      progress(done, runs.count + keys.count)
      reached.insert(run)
      try mark(try store.runs.record(run))
    }
    for (done, key) in keys.enumerated() {
      progress(runs.count + done, runs.count + keys.count)
      if let entry = try store.cache.entry(key) { try mark(entry.json) }
    }
    for conflict in try store.cache.conflicts() { try mark(conflict.json) }
  }

  private mutating func mark(_ json: JSON) throws(StoreError) {
    var pending: [Digest] = []
    Self.collect(json, into: &pending)
    while let digest = pending.popLast() {
      guard !reached.contains(digest), store.objects.contains(digest) else { continue }
      reached.insert(digest)
      if let inner = try store.objects.manifest(digest) { Self.collect(inner, into: &pending) }
    }
  }

  private static func collect(_ json: JSON, into found: inout [Digest]) {
    switch json {
    case .string(let text): if let digest = Digest(hex: text) { found.append(digest) }
    case .array(let values): for value in values { collect(value, into: &found) }
    case .object(let members): for value in members.values { collect(value, into: &found) }
    case .null, .bool, .integer, .number: break
    }
  }
}
