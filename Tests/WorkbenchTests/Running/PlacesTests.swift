import Foundation
import Store
import Synchronization
import Testing
import TestSupport
import Workbench

@Suite("Where things are")
struct PlacesTests {
  @Test("the store is the one of the enclosing repository, and a folder of its own outside of any")
  func store() throws {
    try withScratchFolder { folder in
      let inner = folder + "/repository/a/b"
      try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
      #expect(Locations(from: inner, executable: "/none/bin/lethe").store == inner + "/lethe-store")
      try FileManager.default.createDirectory(atPath: folder + "/repository/.git", withIntermediateDirectories: true)
      #expect(Locations(from: inner, executable: "/none/bin/lethe").store == folder + "/repository/store")
      #expect(Locations(store: "/elsewhere", from: inner, executable: "/none/bin/lethe").store == "/elsewhere")
    }
  }

  @Test("a base model's name is looked for in the store, the repository and the installation, in this order")
  func models() throws {
    try withScratchFolder { folder in
      func make(_ path: String) throws {
        try FileManager.default.createDirectory(atPath: folder + "/" + path, withIntermediateDirectories: true)
        try "{}".write(toFile: "\(folder)/\(path)/model_index.json", atomically: true, encoding: .utf8)
      }
      try FileManager.default.createDirectory(atPath: folder + "/r/.git", withIntermediateDirectories: true)
      let locations = Locations(store: folder + "/s", from: folder + "/r", executable: folder + "/usr/bin/lethe")
      try make("usr/share/lethe/models/tiny")
      #expect(try locations.modelFolder("tiny", from: "") == folder + "/usr/share/lethe/models/tiny")
      try make("r/store/models/tiny")
      #expect(try locations.modelFolder("tiny", from: "") == folder + "/r/store/models/tiny")
      try make("s/models/tiny")
      #expect(try locations.modelFolder("tiny", from: "") == folder + "/s/models/tiny")
      try make("r/store/models/large")
      #expect(try locations.modelNames == ["large", "tiny"])
      let large = try locations.modelFolder("./store/models/large", from: folder + "/r")
      #expect(large == folder + "/r/./store/models/large")
      #expect(throws: Locations.NotFound.self) { try locations.modelFolder("middle", from: "") }
      // A model in a single file has a path for a name.
      try "".write(toFile: folder + "/r/v1-5.ckpt", atomically: true, encoding: .utf8)
      #expect(try locations.modelFolder("./v1-5.ckpt", from: folder + "/r") == folder + "/r/./v1-5.ckpt")
      let error = #expect(throws: Locations.NotFound.self) { try locations.modelFolder(folder + "/v2.pt", from: "") }
      #expect(error?.description == "there is no model file \(folder)/v2.pt")
    }
  }
}

@Suite("Digests of files")
struct FileDigestsTests {
  private func write(_ text: String, _ path: String) throws {
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  @Test("a file that changes has another digest, and a folder's digest is that of its files and their names")
  func changes() throws {
    try withScratchFolder { folder in
      let digests = FileDigests(storeFolder: folder)
      let judge = folder + "/judge"
      try FileManager.default.createDirectory(atPath: judge + "/inner", withIntermediateDirectories: true)
      try write("one", judge + "/inner/a")
      #expect(try digests.digest(ofFile: judge + "/inner/a") == Digest(hashing: "one"))
      let first = try digests.digest(ofFolder: judge)
      try write("two", judge + "/inner/a")
      #expect(try digests.digest(ofFile: judge + "/inner/a") == Digest(hashing: "two"))
      let second = try digests.digest(ofFolder: judge)
      try FileManager.default.moveItem(atPath: judge + "/inner/a", toPath: judge + "/inner/b")
      let third = try digests.digest(ofFolder: judge)
      #expect(Set([first, second, third]).count == 3)
      try write("x", judge + "/.hidden")
      #expect(try digests.digest(ofFolder: judge) == third)
      let error = #expect(throws: StoreError.self) { try digests.digest(ofFolder: folder + "/none") }
      #expect(error?.description.contains(folder + "/none") == true)
    }
  }

  @Test("a link stands for what it leads to, a circle of links ends, and a folder without files is refused")
  func links() throws {
    try withScratchFolder { folder in
      let files = FileManager.default
      let digests = FileDigests(storeFolder: folder)
      let judge = folder + "/judge"
      try files.createDirectory(atPath: judge + "/inner", withIntermediateDirectories: true)
      try write("one", judge + "/inner/a")
      try write("two", judge + "/b")
      let first = try digests.digest(ofFolder: judge)
      try files.createSymbolicLink(atPath: folder + "/link", withDestinationPath: "judge")
      let ofLink = try digests.digest(ofFolder: folder + "/link")
      #expect(ofLink == first)
      // The same files by a link to a folder and a link to a file.
      let linked = folder + "/linked"
      try files.createDirectory(atPath: linked, withIntermediateDirectories: true)
      try files.createSymbolicLink(atPath: linked + "/inner", withDestinationPath: judge + "/inner")
      try files.createSymbolicLink(atPath: linked + "/b", withDestinationPath: "../judge/b")
      let ofLinks = try digests.digest(ofFolder: linked)
      #expect(ofLinks == first)
      try write("three", judge + "/b")
      let second = try digests.digest(ofFolder: linked)
      #expect(second != first)
      try files.createSymbolicLink(atPath: judge + "/inner/around", withDestinationPath: judge)
      let circular = try digests.digest(ofFolder: judge)
      #expect(circular == second)
      let empty = folder + "/empty"
      try files.createDirectory(atPath: empty, withIntermediateDirectories: true)
      let error = #expect(throws: StoreError.self) { try digests.digest(ofFolder: empty) }
      #expect(error?.description == "cannot read \(empty): the folder holds no file")
    }
  }

  @Test("a file is read once while its size, times and inode stay, and again when any of them changes")
  func reading() throws {
    try withScratchFolder { folder in
      let path = folder + "/weights"
      try write("one", path)
      Thread.sleep(forTimeInterval: 2.2)
      let read = Mutex<[String]>([])
      func digest() throws -> Digest {
        // As another process would.
        let digests = FileDigests(storeFolder: folder) { path, done, total in
          read.withLock { $0.append("\(path) \(done) of \(total)") }
        }
        defer { digests.save() }
        return try digests.digest(ofFile: path)
      }
      func reads(_ expected: Int, _ digestedText: String, location: SourceLocation = #_sourceLocation) throws {
        let found = try digest()
        #expect(found == Digest(hashing: digestedText), sourceLocation: location)
        #expect(read.withLock { $0.count } == expected, sourceLocation: location)
      }
      try reads(1, "one")
      #expect(read.withLock { $0 } == ["\(path) 3 of 3"])
      try reads(1, "one")
      // The same bytes with another time.
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: -100)], ofItemAtPath: path)
      try reads(2, "one")
      // It changed a moment ago, so that it is not remembered yet.
      try reads(3, "one")
      Thread.sleep(forTimeInterval: 2.2)
      try reads(4, "one")
      try reads(4, "one")
      // Other bytes of the same size under the same time of writing.
      try Data("two".utf8).write(to: URL(fileURLWithPath: path))
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: -100)], ofItemAtPath: path)
      try reads(5, "two")
    }
  }

  @Test("what was hashed long enough after it changed is remembered by the next process, and forgotten when it changes")
  func memory() throws {
    try withScratchFolder { folder in
      let path = folder + "/weights"
      try write("one", path)
      Thread.sleep(forTimeInterval: 2.2)
      let digests = FileDigests(storeFolder: folder)
      let digest = try digests.digest(ofFile: path)
      digests.save()
      let memory = folder + "/file-digests.json"
      let text = try String(contentsOfFile: memory, encoding: .utf8)
      #expect(text.contains(digest.hex))
      // What the memory says is believed without looking at the file…
      let other = Digest(hashing: "another")
      try write(text.replacingOccurrences(of: digest.hex, with: other.hex), memory)
      #expect(try FileDigests(storeFolder: folder).digest(ofFile: path) == other)
      // …until the file changes, or the memory is damaged.
      try write("two", path)
      #expect(try FileDigests(storeFolder: folder).digest(ofFile: path) == Digest(hashing: "two"))
      try write("{", memory)
      #expect(try FileDigests(storeFolder: folder).digest(ofFile: path) == Digest(hashing: "two"))
    }
  }
}
