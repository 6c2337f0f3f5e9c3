import Configuration
import Foundation
import Store
import Testing

@Suite struct StageCacheTests {
  let folder: TemporaryFolder
  let objects: ObjectStore
  let cache: StageCache

  init() throws {
    folder = try TemporaryFolder()
    objects = ObjectStore(folder: folder.path)
    cache = StageCache(objects)
  }

  func key(_ alpha: Double, prompts: [JSON] = ["a", "b"]) -> StageKey {
    StageKey(stage: "edit", parts: ["alpha": .number(alpha), "retain_prompts": .array(prompts)])
  }

  func file(_ key: StageKey) -> String {
    "\(folder.path)/cache/\(key.digest.hex.prefix(2))/\(key.digest.hex.dropFirst(2))"
  }

  @Test func answersWhatWasPutAndNothingElse() throws {
    let output = try objects.add("weights")
    let entry = CacheEntry(key: key(5), outputs: ["model": output], seconds: 1.25)
    #expect(try cache.lookup(key(5)) == nil)
    #expect(try cache.put(entry) == .stored)
    #expect(try cache.lookup(key(5)) == entry)
    #expect(try cache.lookup(key(6)) == nil)
    #expect(try cache.list() == [key(5).digest])
    #expect(folder.files(under: "temporary").isEmpty)
  }

  @Test func theKeyIsTheDigestOfStageAndParts() {
    #expect(key(5).digest == Digest(hashing: #"{"parts":{"alpha":5,"retain_prompts":["a","b"]},"stage":"edit"}"#))
    #expect(key(5).digest != StageKey(stage: "fisher", parts: key(5).parts).digest)
  }

  @Test func sameOutputsAgainAreKnown() throws {
    let output = try objects.add("weights")
    try cache.put(CacheEntry(key: key(5), outputs: ["model": output], seconds: 1, created: "first"))
    #expect(try cache.put(CacheEntry(key: key(5), outputs: ["model": output], seconds: 2, created: "later")) == .known)
    #expect(try cache.lookup(key(5))?.created == "first")
  }

  @Test func otherOutputsForAKnownKeyAreAConflictAndNeverOverwrite() throws {
    let first = CacheEntry(key: key(5), outputs: ["model": try objects.add("first")], seconds: 1, created: "1")
    let other = CacheEntry(key: key(5), outputs: ["model": try objects.add("other")], seconds: 1, created: "2")
    try cache.put(first)
    let conflict = CacheConflict(recorded: first, found: other)
    #expect(try cache.put(other) == .conflict(conflict))
    #expect(try cache.lookup(key(5)) == first)
    #expect(try cache.conflicts() == [conflict])
    #expect(conflict.outputs == ["model"])
    // The same disagreement once more adds nothing.
    #expect(try cache.put(other) == .conflict(conflict))
    #expect(try cache.conflicts().count == 1)
    #expect(folder.files(under: "temporary").isEmpty)
  }

  @Test func anEntryWhoseObjectIsGoneIsAMissAndMayBeReplaced() throws {
    let lost = try objects.add("first")
    try cache.put(CacheEntry(key: key(5), outputs: ["model": lost], seconds: 1))
    try FileManager.default.removeItem(atPath: objects.path(of: lost))
    #expect(try cache.lookup(key(5)) == nil)
    let entry = CacheEntry(key: key(5), outputs: ["model": try objects.add("other")], seconds: 1)
    #expect(try cache.put(entry) == .stored)
    #expect(try cache.lookup(key(5)) == entry)
  }

  @Test(arguments: ["", "{", #"{"format":"lethe cache entry 1"}"#, "null", "\u{0}\u{0}"])
  func aTruncatedEntryIsAnErrorThatNamesTheFileAndPuttingMendsIt(text: String) throws {
    let entry = CacheEntry(key: key(5), outputs: ["model": try objects.add("weights")], seconds: 1)
    try cache.put(entry)
    try overwrite(file(key(5)), with: Array(text.utf8))
    let error = try #require(throws: StoreError.self) { try cache.lookup(key(5)) }
    #expect(error.code == .damagedEntry)
    #expect(error.message.contains(file(key(5))))
    #expect(try cache.put(entry) == .stored)
    #expect(try cache.lookup(key(5)) == entry)
  }

  @Test func anEntryUnderAnotherKeyIsNoAnswer() throws {
    try cache.put(CacheEntry(key: key(5), outputs: ["model": try objects.add("weights")], seconds: 1))
    try FileManager.default.createDirectory(
      atPath: (file(key(6)) as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: file(key(5)), toPath: file(key(6)))
    #expect(throws: StoreError.self) { try cache.lookup(key(6)) }
  }

  @Test func outputsMustBeInTheStoreFirst() throws {
    let entry = CacheEntry(key: key(5), outputs: ["model": Digest(hashing: "never added")], seconds: 1)
    let error = try #require(throws: StoreError.self) { try cache.put(entry) }
    #expect(error.code == .missingObject)
    #expect(try cache.list().isEmpty)
    #expect(folder.files().isEmpty)
  }

  @Test func aMissIsExplainedByItsNearestNeighbour() throws {
    let output = try objects.add("weights")
    try cache.put([
      CacheEntry(key: key(1, prompts: ["x", "y"]), outputs: ["model": output], seconds: 1),
      CacheEntry(key: key(5), outputs: ["model": output], seconds: 1),
      CacheEntry(key: StageKey(stage: "fisher", parts: key(7).parts), outputs: ["model": output], seconds: 1),
    ])
    let entries = try cache.list().compactMap { try cache.entry($0) }
    #expect(entries.count == 3)
    let nearest = try #require(StageCache.nearest(to: key(5, prompts: ["a", "c", "d"]), among: entries))
    #expect(nearest.entry.key == key(5))
    #expect(
      nearest.differences.map(\.description) == [
        #"retain_prompts[1]: "b" -> "c""#, #"retain_prompts[2]: absent -> "d""#,
      ])
    #expect(StageCache.nearest(to: StageKey(stage: "images", parts: nil), among: entries) == nil)
  }

  @Test func threadsThatRaceForOneKeyAgreeOnOneEntry() throws {
    let cache = cache
    let objects = objects
    let stored = Counter()
    let conflicts = Counter()
    let key = key(5)
    DispatchQueue.concurrentPerform(iterations: 8) { worker in
      guard let output = try? objects.add("outcome \(worker % 2)"),
        let result = try? cache.put(CacheEntry(key: key, outputs: ["model": output], seconds: 1))
      else { return }
      switch result {
      case .stored: stored.add(1)
      case .conflict: conflicts.add(1)
      case .known: break
      }
    }
    #expect(stored.value == 1)
    #expect(conflicts.value == 4)
    #expect(try cache.conflicts().count == 1)
  }
}
