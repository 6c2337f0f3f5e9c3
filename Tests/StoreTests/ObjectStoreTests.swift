import Foundation
import Store
import Testing

@Suite struct ObjectStoreTests {
  let folder: TemporaryFolder
  let objects: ObjectStore

  init() throws {
    folder = try TemporaryFolder()
    objects = ObjectStore(folder: folder.path + "/store")
  }

  @Test func givesBackWhatWasAdded() throws {
    let bytes: [UInt8] = [1, 2, 3, 255, 0]
    let digest = try objects.add(bytes)
    #expect(digest == Digest(hashing: bytes))
    #expect(try objects.read(digest) == bytes)
    #expect(try objects.withBytes(of: digest) { Array($0) } == bytes)
    #expect(objects.size(of: digest) == 5)
  }

  @Test func liesUnderItsOwnDigestSoThatSha256sumVerifiesIt() throws {
    let digest = try objects.add("hello")
    #expect(folder.files() == ["store/objects/\(digest.hex.prefix(2))/\(digest.hex.dropFirst(2))"])
  }

  @Test func keepsAnEmptyObject() throws {
    let digest = try objects.add([UInt8]())
    #expect(try objects.read(digest) == [])
    #expect(try objects.withBytes(of: digest) { $0.count } == 0)
  }

  @Test func addingTwiceStoresOnce() throws {
    let first = try objects.add("the same")
    let second = try objects.add("the same")
    #expect(first == second)
    #expect(folder.files().count == 1)
  }

  @Test func addsAFileWithoutLoadingIt() throws {
    let bytes = (0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let path = folder.path + "/large.bin"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let digest = try objects.add(fileAt: path)
    #expect(digest == Digest(hashing: bytes))
    #expect(try objects.read(digest) == bytes)
    #expect(try objects.add(fileAt: path) == digest)
    #expect(folder.files(under: "store").count == 1)
  }

  @Test func aFileThatIsNotThereIsNamed() {
    #expect(throws: StoreError(.unreadable, "cannot read /nowhere/at/all: No such file or directory")) {
      try objects.add(fileAt: "/nowhere/at/all")
    }
    #expect(folder.files().isEmpty)
  }

  @Test func changedBytesAreAnErrorThatNamesTheObject() throws {
    let digest = try objects.add("a result")
    try overwrite(objects.path(of: digest), with: Array("a resuIt".utf8))
    let error = try #require(throws: StoreError.self) { try objects.read(digest) }
    #expect(error.code == .damagedObject)
    #expect(error.message.contains("object \(digest.hex) is damaged"))
    #expect(throws: StoreError.self) { try objects.withBytes(of: digest) { $0.count } }
    #expect(throws: StoreError.self) { try objects.check(digest) }
  }

  @Test(arguments: [0, 3])
  func aTruncatedObjectIsAnErrorAndAddingItAgainMendsIt(length: Int) throws {
    let digest = try objects.add("a result")
    try overwrite(objects.path(of: digest), with: Array("a result".utf8.prefix(length)))
    #expect(throws: StoreError.self) { try objects.read(digest) }
    #expect(throws: StoreError.self) { try objects.withBytes(of: digest) { $0.count } }
    try objects.add("a result")
    #expect(try objects.read(digest) == Array("a result".utf8))
  }

  @Test func aMissingObjectIsNamed() {
    let digest = Digest(hashing: "never added")
    #expect(throws: StoreError(.missingObject, "the store \(objects.folder) has no object \(digest)")) {
      try objects.read(digest)
    }
  }

  @Test func aBatchIsInvisibleUntilItsCommitAndLeavesNothingIfDropped() throws {
    do {
      let batch = ObjectBatch(objects)
      let digest = try batch.add([1, 2, 3])
      #expect(!objects.contains(digest))
    }
    #expect(folder.files().isEmpty)

    let batch = ObjectBatch(objects)
    let digests = try (0..<100).map { try batch.add(Array("item \($0 % 50)".utf8)) }
    try batch.commit()
    #expect(try objects.list() == Set(digests).sorted())
    #expect(folder.files().count == 50)
  }

  @Test func aStoreThatCannotBeWrittenIsOneSentence() throws {
    // A file where the folder should be: no user, root included, can write there.
    let path = folder.path + "/file"
    try Data("x".utf8).write(to: URL(fileURLWithPath: path))
    for store in [ObjectStore(folder: path), ObjectStore(folder: path + "/store")] {
      #expect(throws: StoreError(.unwritable, "cannot make the folder \(path): a file of that name is in the way")) {
        try store.add("lost")
      }
    }
  }

  @Test func aReadOnlyFolderIsOneSentence() throws {
    // Permissions bind everybody but root; the kernel's own folder binds root too.
    var store = ObjectStore(folder: "/proc/lethe-store")
    if geteuid() != 0 {
      let closed = folder.path + "/closed"
      try FileManager.default.createDirectory(
        atPath: closed, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o555])
      store = ObjectStore(folder: closed + "/store")
    }
    let error = try #require(throws: StoreError.self) { try store.add("lost") }
    #expect(error.code == .unwritable)
    #expect(error.message.hasPrefix("cannot make the folder \(store.folder): "))
  }

  @Test func manyThreadsMayStartOnAFreshStoreAtOnce() throws {
    let objects = objects
    let failures = Counter()
    DispatchQueue.concurrentPerform(iterations: 8) { worker in
      for item in 0..<20 {
        do {
          // Half of the objects are common to all workers, half their own.
          try objects.add(item % 2 == 0 ? "common \(item)" : "worker \(worker) item \(item)")
        } catch {
          failures.add(1)
        }
      }
    }
    #expect(failures.value == 0)
    let all = try objects.list()
    #expect(all.count == 10 + 8 * 10)
    for digest in all { try objects.check(digest) }
    #expect(folder.files(under: "store/temporary").isEmpty)
  }
}
