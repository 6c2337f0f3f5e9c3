internal import Store

/// Where the results of stages are looked up and kept, with or without reading what earlier runs left.
///
/// Without reading the cache, a stage is computed once for all points of one invocation, and what it yields is put into
/// the cache all the same: a key known there keeps its entry, and other bytes for it become a conflict.
final class StageResults {
  private let cache: StageCache
  private let readsCache: Bool
  private var computed: [Digest: CacheEntry] = [:]
  /// What came out otherwise than recorded since ``takeConflicts()`` was last called.
  private var conflicts: [CacheConflict] = []

  init(_ cache: StageCache, readsCache: Bool) {
    self.cache = cache
    self.readsCache = readsCache
  }

  /// Safe to call from several threads at once, while none calls ``put(_:)``.
  func lookup(_ key: StageKey) throws(StoreError) -> CacheEntry? {
    if let entry = computed[key.digest] { return entry }
    return readsCache ? try cache.lookup(key) : nil
  }

  func put(_ entries: [CacheEntry]) throws(StoreError) {
    for case .conflict(let conflict) in try cache.put(entries) { conflicts.append(conflict) }
    // What the cache answers with in the next process it answers with now; its own results a run knows without it.
    for entry in entries where !readsCache { computed[entry.key.digest] = entry }
  }

  func takeConflicts() -> [CacheConflict] {
    defer { conflicts = [] }
    return conflicts
  }
}
