import Configuration
import Foundation
import Store
import Testing

@Suite struct RunIndexTests {
  let folder: TemporaryFolder
  let warnings = Sentences()
  let store: Store

  init() throws {
    folder = try TemporaryFolder()
    store = try Store.open(folder, warnings: warnings)
  }

  var indexPath: String { folder.path + "/store/index.sqlite" }

  @discardableResult
  func addRuns(_ count: Int = 12) throws -> [Digest] {
    let output = try store.objects.add("an image")
    return try (0..<count).map { number in
      try store.add(
        record: SampleRecord.make(
          technique: number % 3 == 0 ? "base" : "ssd", seed: number % 4, status: number == 5 ? "failed" : "finished",
          started: "2026-01-01T00:00:\(10 + number)Z", tags: number % 2 == 0 ? ["even", "all"] : ["all"],
          outputs: number == 7 ? ["image": output] : [:], value: number == 5 ? nil : Double(number) / 8,
          alpha: number / 4)
      )
    }
  }

  @Test func aRecordIsKeptUnderItsOwnDigestAndReadBack() throws {
    let record = SampleRecord.make()
    let run = try store.add(record: record)
    #expect(run == Digest(hashing: record.canonical()))
    #expect(try store.runs.record(run) == record)
    #expect(try store.runs.list() == [run])
    #expect(throws: StoreError.self) { try store.runs.record(Digest(hashing: "no run")) }
  }

  @Test func listsByEveryFilterTheLatestFirst() throws {
    let runs = try addRuns()
    let index = try store.index()
    #expect(try index.list().map(\.runID) == runs.reversed())
    #expect(try index.list(RunFilter(technique: "base")).map(\.runID) == [9, 6, 3, 0].map { runs[$0] })
    #expect(try index.list(RunFilter(experiment: "base.json")).count == 4)
    #expect(try index.list(RunFilter(tag: "even")).count == 6)
    #expect(try index.list(RunFilter(status: "failed")).map(\.runID) == [runs[5]])
    #expect(try index.list(RunFilter(technique: "ssd", tag: "even", limit: 2)).map(\.runID) == [runs[10], runs[8]])
    let config = SampleRecord.configHash(technique: "ssd", seed: 2, alpha: 2)
    #expect(try index.list(RunFilter(configHash: config)).map(\.runID) == [runs[10]])
    #expect(try index.list(RunFilter(technique: "'; DROP TABLE run; --")).isEmpty)
  }

  @Test func knowsMetricsOutputsStagesAndTagsOfEachRun() throws {
    let runs = try addRuns()
    let index = try store.index()
    let all = try index.facts()
    let facts = try #require(all.first { $0.run.runID == runs[7] })
    #expect(facts == (try SampleRecord.reader(try store.runs.record(runs[7]), runs[7])))
    #expect(facts.outputs.count == 1 && facts.metrics[0].value == 7.0 / 8)
    let undefined = try #require(all.first { $0.run.runID == runs[5] })
    #expect(undefined.metrics.count == 1 && undefined.metrics[0].value == nil)
    #expect(try index.facts(RunFilter(technique: "ssd")).map(\.run) == index.list(RunFilter(technique: "ssd")))
    #expect(try index.runs(withOutput: Digest(hashing: "an image")).map(\.runID) == [runs[7]])
    #expect(try index.runs(withStage: Digest(hashing: "key 1")).count == 4)
  }

  @Test func rebuiltFromRecordsItEqualsTheOneBuiltStepByStep() throws {
    try addRuns()
    let index = try store.index()
    let before = try index.facts()
    #expect(before.count == 12)
    #expect(try index.rebuild() == 12)
    #expect(try index.facts() == before)
    // And so does one that starts from nothing but the records.
    try FileManager.default.removeItem(atPath: indexPath)
    #expect(try Store.open(folder).index().facts() == before)
    #expect(warnings.all.isEmpty)
  }

  @Test func aDeletedIndexIsRebuiltWithOneWarning() throws {
    try addRuns()
    for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: indexPath + suffix) }
    let sentences = Sentences()
    #expect(try Store.open(folder, warnings: sentences).index().list().count == 12)
    #expect(sentences.all == ["the index \(indexPath) was missing; it has been rebuilt from 12 run records"])
    // And only once.
    #expect(try Store.open(folder, warnings: sentences).index().list().count == 12)
    #expect(sentences.all.count == 1)
  }

  @Test(arguments: ["not a database at all", ""])
  func aCorruptIndexIsRebuilt(content: String) throws {
    try addRuns()
    for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: indexPath + suffix) }
    try overwrite(indexPath, with: Array(content.utf8))
    let sentences = Sentences()
    #expect(try Store.open(folder, warnings: sentences).index().list().count == 12)
    // An empty file is an empty database to SQLite: it fills up without a word.
    #expect(sentences.all.count == (content.isEmpty ? 0 : 1))
    #expect(sentences.all.allSatisfy { $0.hasPrefix("the index \(indexPath) is damaged") })
  }

  @Test func aPageOfGarbageInTheIndexIsNoticedAndMended() throws {
    try addRuns()
    // A rebuilt index in a file of its own, so that nothing of it is left in a write-ahead log.
    for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: indexPath + suffix) }
    do { _ = try Store.open(folder).index() }
    var bytes = try Data(contentsOf: URL(fileURLWithPath: indexPath))
    for offset in 4096..<bytes.count { bytes[offset] = 0xA5 }
    try overwrite(indexPath, with: Array(bytes))
    for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: indexPath + suffix) }
    let sentences = Sentences()
    #expect(try Store.open(folder, warnings: sentences).index().list().count == 12)
    #expect(sentences.all.contains { $0.contains("is damaged") })
  }

  @Test func catchesUpWithRunsThatOnlyTheRecordsKnow() throws {
    try addRuns(3)
    // As if a process had died between record and index, or as if another store had been copied over this one.
    let late = try store.runs.add(SampleRecord.make(technique: "late"))
    #expect(try store.index().list(RunFilter(technique: "late")).isEmpty)
    #expect(
      try Store.open(folder, warnings: warnings).index().list(RunFilter(technique: "late")).map(\.runID) == [late])
    #expect(warnings.all.isEmpty)
  }

  @Test func forgetsRunsWhoseReferenceIsGone() throws {
    let runs = try addRuns(3)
    let hex = runs[1].hex
    try FileManager.default.removeItem(atPath: "\(store.folder)/runs/\(hex.prefix(2))/\(hex.dropFirst(2))")
    #expect(try Store.open(folder).index().list().map(\.runID) == [runs[2], runs[0]])
  }

  @Test func aRecordThatCannotBeUnderstoodIsLeftOutWithAWarning() throws {
    try addRuns(2)
    let odd = try store.add(record: ["format": "something else"])
    #expect(warnings.all == ["run \(odd.short) is recorded but not in the index: it has no technique"])
    let sentences = Sentences()
    #expect(try Store.open(folder, warnings: sentences).index().list().count == 2)
    #expect(sentences.all == ["run \(odd.short) is left out of the index: it has no technique"])
  }

  @Test func aRebuildWarnsOnceOfARecordThatCannotBeUnderstood() throws {
    let odd = try store.runs.add(["format": "something else"])
    let sentences = Sentences()
    let reopened = try Store.open(folder, warnings: sentences)
    #expect(try reopened.index().rebuild() == 0)
    #expect(sentences.all == ["run \(odd.short) is left out of the index: it has no technique"])
  }

  @Test func aLockThatCannotBeHadStopsTheOpening() throws {
    try FileManager.default.createDirectory(
      atPath: folder.path + "/store/index.lock", withIntermediateDirectories: true)
    let error = try #require(throws: StoreError.self) { try Store.open(folder).index() }
    #expect(error.code == .unwritable && error.message.contains("index.lock"))
    #expect(!FileManager.default.fileExists(atPath: indexPath))
  }
}
