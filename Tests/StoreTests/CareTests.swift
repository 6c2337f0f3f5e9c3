import Configuration
import Foundation
import Store
import Testing

@Suite struct VerificationTests {
  let folder: TemporaryFolder
  let store: Store

  init() throws {
    folder = try TemporaryFolder()
    store = try Store.open(folder)
  }

  func kinds() throws -> [VerificationReport.Problem.Kind] { try store.verify().problems.map(\.kind) }

  @Test func aSoundStoreIsCountedAndFoundSound() throws {
    let output = try store.objects.add("an image")
    try store.cache.put(
      CacheEntry(key: StageKey(stage: "images", parts: ["seed": 1]), outputs: ["image": output], seconds: 1))
    try store.add(record: SampleRecord.make(outputs: ["image": output]))
    let report = try store.verify()
    #expect(report.isSound)
    #expect((report.objects, report.runs, report.entries, report.conflicts) == (2, 1, 1, 0))
  }

  @Test func everyKindOfDamageIsReportedByName() throws {
    let image = try store.objects.add("an image")
    let lost = try store.objects.add("lost")
    let key = StageKey(stage: "images", parts: ["seed": 1])
    try store.cache.put(CacheEntry(key: key, outputs: ["image": lost], seconds: 1))
    let run = try store.add(record: SampleRecord.make(outputs: ["image": lost]))
    #expect(try kinds() == [])

    try overwrite(store.objects.path(of: image), with: Array("an imagE".utf8))
    try FileManager.default.removeItem(atPath: store.objects.path(of: lost))
    try Data("?".utf8).write(to: URL(fileURLWithPath: store.folder + "/objects/notes.txt"))
    try overwrite(
      "\(store.folder)/runs/\(run.hex.prefix(2))/\(run.hex.dropFirst(2))", with: Array(run.hex.utf8.prefix(9)))
    #expect(try kinds() == [.foreignFile, .damagedObject, .damagedRun, .missingObject, .missingObject])
    #expect(try store.verify().problems[1].message.contains(image.hex))

    try overwrite("\(store.folder)/cache/\(key.digest.hex.prefix(2))/\(key.digest.hex.dropFirst(2))", with: [])
    #expect(try kinds().last == .damagedEntry)
  }

  @Test func aTruncatedRunReferenceStillNamesItsRun() throws {
    let run = try store.add(record: SampleRecord.make())
    try overwrite("\(store.folder)/runs/\(run.hex.prefix(2))/\(run.hex.dropFirst(2))", with: [])
    #expect(try Store.open(folder).index().list().map(\.runID) == [run])
    #expect(try kinds() == [.damagedRun])
  }

  @Test func aTensorSetWithoutOneOfItsTensorsIsReported() throws {
    let batch = ObjectBatch(store.objects)
    var set = TensorSet()
    try set.set("a", shape: [1], values: [1], in: batch)
    let digest = try set.write(in: batch)
    try batch.commit()
    let tensor = try #require(set.entries["a"]?.digest)
    try FileManager.default.removeItem(atPath: store.objects.path(of: tensor))
    #expect(
      try store.verify().problems.map(\.message) == ["tensor a of the set \(digest) is missing: object \(tensor)"])
  }
}

@Suite struct GarbageCollectionTests {
  let folder: TemporaryFolder
  let store: Store

  init() throws {
    folder = try TemporaryFolder()
    store = try Store.open(folder)
  }

  /// Makes everything in the store an hour old.
  func age() throws {
    let before = Date(timeIntervalSinceNow: -3600)
    for file in folder.files() {
      try FileManager.default.setAttributes([.modificationDate: before], ofItemAtPath: folder.path + "/" + file)
    }
  }

  @Test func keepsAllThatRecordsEntriesConflictsAndTheirManifestsLeadTo() throws {
    let batch = ObjectBatch(store.objects)
    var set = TensorSet()
    try set.set("a", shape: [2], values: [1, 2], in: batch)
    let checkpoint = try set.write(in: batch)
    try batch.commit()
    let image = try store.objects.add("an image")
    let other = try store.objects.add("another image")
    let loose = try store.objects.add("nobody's")
    let key = StageKey(stage: "images", parts: ["seed": 1])
    try store.cache.put(CacheEntry(key: key, outputs: ["image": image], seconds: 1))
    try store.cache.put(CacheEntry(key: key, outputs: ["image": other], seconds: 1))
    let run = try store.add(record: SampleRecord.make(outputs: ["model": checkpoint]))
    try age()

    let rehearsal = try store.collectGarbage(grace: 60, dryRun: true)
    #expect(rehearsal.objects == [loose] && rehearsal.bytes == 8 && rehearsal.isDryRun)
    #expect(store.objects.contains(loose))

    var report = try store.collectGarbage(grace: 60)
    #expect(report.kept == 5)
    report.isDryRun = true
    #expect(report == rehearsal)
    let tensor = try #require(set.entries["a"]?.digest)
    #expect(try store.objects.list() == [image, other, checkpoint, run, tensor].sorted())
    #expect(try store.verify().isSound)
  }

  @Test func whatAWriterHasJustAddedStays() throws {
    let old = try store.objects.add("old and unused")
    let wanted = try store.objects.add("old, and just added again")
    try age()
    let fresh = try store.objects.add("fresh")
    try store.objects.add("old, and just added again")
    let report = try store.collectGarbage(grace: 60)
    #expect(report.objects == [old])
    #expect(report.tooYoung == 2)
    #expect(try store.objects.list() == [fresh, wanted].sorted())
  }

  @Test func removesTheLeavingsOfDeadProcessesOnly() throws {
    let temporary = store.folder + "/temporary"
    try Data("half an object".utf8).write(to: URL(fileURLWithPath: temporary + "/1-1-dead"))
    try age()
    try Data("being written".utf8).write(to: URL(fileURLWithPath: temporary + "/2-1-alive"))
    let report = try store.collectGarbage(grace: 60)
    #expect(report.temporaryFiles == ["1-1-dead"])
    #expect(folder.files(under: "store/temporary") == ["2-1-alive"])
  }

  @Test func aDamagedEntryStopsTheCollectionBeforeAnythingIsRemoved() throws {
    let loose = try store.objects.add("nobody's, or the damaged entry's")
    let key = StageKey(stage: "images", parts: ["seed": 1])
    try store.cache.put(CacheEntry(key: key, outputs: ["image": loose], seconds: 1))
    try overwrite("\(store.folder)/cache/\(key.digest.hex.prefix(2))/\(key.digest.hex.dropFirst(2))", with: [123])
    try age()
    let error = try #require(throws: StoreError.self) { try store.collectGarbage(grace: 0) }
    #expect(error.code == .damagedEntry)
    #expect(store.objects.contains(loose))
  }
}
