import Configuration
import Foundation
import Store
import Testing

@Suite struct StoreOpeningTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  @Test func aReaderDoesNotMakeAStore() throws {
    let error = try #require(throws: StoreError.self) { try Store.open(folder, create: false) }
    #expect(
      error.message == "there is no store in \(folder.path)/store; run an experiment to make one, or give --store")
    #expect(folder.files().isEmpty)
  }

  @Test func aStoreOfAnotherFormatIsRefusedUntouched() throws {
    try FileManager.default.createDirectory(atPath: folder.path + "/store", withIntermediateDirectories: true)
    try Data("lethe store 99\n".utf8).write(to: URL(fileURLWithPath: folder.path + "/store/format"))
    let error = try #require(throws: StoreError.self) { try Store.open(folder) }
    #expect(error.code == .unsupportedFormat)
    #expect(error.message.contains("lethe store 99"))
    #expect(folder.files() == ["store/format"])
  }

  @Test func aStoreThatCannotBeMadeIsOneSentence() throws {
    let path = folder.path + "/file"
    try Data("x".utf8).write(to: URL(fileURLWithPath: path))
    #expect(throws: StoreError(.unwritable, "cannot make the folder \(path): a file of that name is in the way")) {
      try Store(folder: path, reader: SampleRecord.reader)
    }
  }

  @Test func eightFirstStartsAtOnceAllSucceedAndLoseNothing() throws {
    let folder = folder
    let failures = Sentences()
    DispatchQueue.concurrentPerform(iterations: 8) { worker in
      do {
        let store = try Store.open(folder, warnings: failures)
        for item in 0..<5 { try store.add(record: SampleRecord.make(seed: worker, alpha: item)) }
        _ = try store.index().list()
      } catch {
        failures.append("\(error)")
      }
    }
    #expect(failures.all == [])
    let store = try Store.open(folder)
    #expect(try store.index().list().count == 40)
    #expect(try store.verify().isSound)
  }
}

@Suite struct StoreNameTests {
  let folder: TemporaryFolder
  let store: Store

  init() throws {
    folder = try TemporaryFolder()
    store = try Store.open(folder)
  }

  @Test func aHashOrItsBeginningNamesRunsConfigsStagesAndObjects() throws {
    let output = try store.objects.add("an image")
    let key = StageKey(stage: "images", parts: ["seed": 1])
    try store.cache.put(CacheEntry(key: key, outputs: ["image": output], seconds: 1))
    let run = try store.add(record: SampleRecord.make(outputs: ["image": output]))
    let config = SampleRecord.configHash(technique: "ssd", seed: 0, alpha: 1)
    for length in [10, 63, 64] {
      #expect(try store.resolve(String(run.hex.prefix(length))) == .run(run))
      #expect(try store.resolve(String(config.hex.prefix(length))) == .config(config))
      #expect(try store.resolve(String(key.digest.hex.prefix(length))) == .stage(key.digest))
      #expect(try store.resolve(String(output.hex.prefix(length)).uppercased()) == .object(output))
    }
  }

  @Test func anAmbiguousPrefixNamesItsCandidates() throws {
    // Two names that share their first four digits, found by trying.
    let objects = (0..<3000).map { Digest(hashing: "object \($0)") }.sorted()
    let pair = try #require(zip(objects, objects.dropFirst()).first { $0.hex.prefix(4) == $1.hex.prefix(4) })
    let number = try #require((0..<3000).first { Digest(hashing: "object \($0)") == pair.0 })
    let other = try #require((0..<3000).first { Digest(hashing: "object \($0)") == pair.1 })
    try store.objects.add("object \(number)")
    try store.objects.add("object \(other)")
    let prefix = String(pair.0.hex.prefix(4))
    #expect(
      throws: StoreError(
        .ambiguousName, "\(prefix) is ambiguous: it begins object \(pair.0), object \(pair.1)")
    ) { try store.resolve(prefix) }
    #expect(try store.resolve(pair.0.hex) == .object(pair.0))
  }

  @Test(arguments: [
    ("abc", "\"abc\" is too short for a hash: give at least 4 digits"),
    ("ssd-run", "\"ssd-run\" is no hash: expected 4 to 64 hexadecimal digits"),
    ("", "\"\" is too short for a hash: give at least 4 digits"),
  ])
  func whatIsNoHashIsRefused(text: String, message: String) {
    #expect(throws: StoreError(.unknownName, message)) { try store.resolve(text) }
  }

  @Test func anUnknownHashIsNamed() throws {
    let error = try #require(throws: StoreError.self) { try store.resolve("0123456789") }
    #expect(error.code == .unknownName)
    #expect(error.message == "nothing in the store \(store.folder) has a hash that begins with 0123456789")
  }
}
