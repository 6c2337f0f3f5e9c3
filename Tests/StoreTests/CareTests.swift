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
      try store.verify().problems.map(\.message) == [
        "tensors.a of the tensor set \(digest) is missing: object \(tensor)"
      ])
  }

  @Test func anImageSetWithoutOneOfItsImagesIsReported() throws {
    let image = try store.objects.add("an image")
    let set: JSON = [
      "format": "lethe image set 1",
      "images": [["prompt": "a star", "seed": 0, "repetition": 0, "digest": .string(image.hex)]],
    ]
    let digest = try store.objects.add(set.canonical())
    #expect(try kinds() == [])
    try FileManager.default.removeItem(atPath: store.objects.path(of: image))
    #expect(
      try store.verify().problems.map(\.message) == [
        "images.0 of the image set \(digest) is missing: object \(image)"
      ])
  }

  @Test func aRunWithoutItsPatchIsReportedAndAFileThatThePatchLeftOutIsNot() throws {
    let patch = try store.objects.add("a patch")
    var record = try #require(SampleRecord.make().object)
    record["git"] = [
      "patch": .string(patch.hex), "omitted": [["digest": .string(Digest(hashing: "a large file").hex)]],
    ]
    let run = try store.add(record: .object(record))
    #expect(try kinds() == [])
    try FileManager.default.removeItem(atPath: store.objects.path(of: patch))
    #expect(
      try store.verify().problems.map(\.message) == ["the patch of run \(run.short) is missing: object \(patch)"])
  }

  @Test func aConflictWithoutItsOtherOutputIsReported() throws {
    let key = StageKey(stage: "images", parts: ["seed": 1])
    let other = try store.objects.add("another image")
    let image = try store.objects.add("an image")
    try store.cache.put(CacheEntry(key: key, outputs: ["image": image], seconds: 1))
    try store.cache.put(CacheEntry(key: key, outputs: ["image": other], seconds: 1))
    #expect(try kinds() == [])
    try FileManager.default.removeItem(atPath: store.objects.path(of: other))
    #expect(try kinds() == [.missingObject])
    #expect(try store.verify().problems[0].message.contains("the other output image"))
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

  @Test func aDamagedManifestStopsTheCollectionBeforeItsTensorsAreRemoved() throws {
    let batch = ObjectBatch(store.objects)
    var set = TensorSet()
    try set.set("a", shape: [2], values: [1, 2], in: batch)
    let checkpoint = try set.write(in: batch)
    try batch.commit()
    try store.add(record: SampleRecord.make(outputs: ["model": checkpoint]))
    try overwrite(store.objects.path(of: checkpoint), with: Array("{\"format\":".utf8))
    try age()
    let error = try #require(throws: StoreError.self) { try store.collectGarbage(grace: 0) }
    #expect(error.code == .damagedObject)
    let tensor = try #require(set.entries["a"]?.digest)
    #expect(store.objects.contains(tensor))
  }
}
