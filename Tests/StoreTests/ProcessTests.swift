import Configuration
import Foundation
import Store
import Testing

/// What only processes of their own can show: concurrent first starts, and death at any moment.
@Suite struct ProcessTests {
  let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  /// Starts `store-probe`, which the build puts beside the tests.
  func start(_ arguments: String...) throws -> (process: Process, errors: Pipe) {
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: tests).deletingLastPathComponent().appending(path: "store-probe")
    process.arguments = arguments
    let errors = Pipe()
    process.standardError = errors
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    return (process, errors)
  }

  @Test func eightProcessesMayStartOnAFreshStoreAtOnce() throws {
    let store = folder.path + "/store"
    let started = try (0..<8).map { try start("write", store, "\($0)", "4") }
    for (process, errors) in started {
      let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      #expect(process.terminationStatus == 0 && said.isEmpty, "\(said)")
    }
    let objects = ObjectStore(folder: store)
    #expect(try RunLog(objects).list().count == 32)
    #expect(try StageCache(objects).list().count == 32)
    #expect(folder.files(under: "store/temporary").isEmpty)
  }

  @Test func anEntryThatCannotBeReadJustNowIsNotCalledDamaged() throws {
    let path = folder.path + "/store"
    let store = try Store(folder: path, reader: SampleRecord.probeReader)
    let key = StageKey(stage: "probe", parts: [:])
    try store.cache.put(CacheEntry(key: key, outputs: ["set": try store.objects.add("a set")], seconds: 0))
    let (process, errors) = try start("starve", path, key.digest.hex)
    let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(said == "unreadable\n")
  }

  @Test(arguments: [3, 10, 25])
  func aProcessKilledAtAnyMomentLeavesASoundStore(files: Int) throws {
    let path = folder.path + "/store"
    let (process, _) = try start("write", path, "0", "100000")
    // Killed once so many files are there, wherever it then is.
    while process.isRunning, folder.files().count < files { usleep(500) }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()

    let store = try Store(folder: path, reader: SampleRecord.probeReader)
    let report = try store.verify()
    #expect(report.problems == [])
    #expect(try store.index().list().count == report.runs)
    // What it left is at most what it was just writing, and a collection takes that away.
    let collected = try store.collectGarbage(grace: 0)
    #expect(collected.objects.count <= 4)
    #expect(folder.files(under: "store/temporary").isEmpty)
    #expect(try store.verify().isSound)
  }
}
