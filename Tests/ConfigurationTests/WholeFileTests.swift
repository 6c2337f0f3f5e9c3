import Configuration
import Foundation
import TestSupport
import Testing

@Suite("Writing files")
struct WholeFileTests {
  private let folder = NSTemporaryDirectory() + "lethe-file-tests-" + UUID().uuidString

  private func withFolder(_ body: () throws -> Void) throws {
    try WholeFile.makeFolder(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body()
  }

  private var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] }

  @Test("a file is replaced, and nothing stays beside it")
  func replacing() throws {
    try withFolder {
      let path = folder + "/a.txt"
      try WholeFile.write("the first, which is longer", to: path)
      try WholeFile.write("the second", to: path)
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "the second")
      #expect(names == ["a.txt"])
      try WholeFile.write([UInt8](), to: path)
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)).isEmpty)
    }
  }

  @Test("a file that cannot be written is named with the system's reason, and leaves nothing behind")
  func unwritable() throws {
    try withFolder {
      try WholeFile.makeFolder(folder + "/taken")
      let error = try #require(throws: FileError.self) { try WholeFile.write("text", to: folder + "/taken") }
      #expect(error.description == "\(folder)/taken: cannot be written: Is a directory")
      #expect(names == ["taken"])
    }
  }

  @Test("what could not be written is told before there is anything to write, and nothing is made")
  func confirming() throws {
    try withFolder {
      try WholeFile.write("text", to: folder + "/file")
      try WholeFile.makeFolder(folder + "/taken")
      func refusal(_ path: String, makesFolders: Bool = false) -> String {
        do throws(FileError) {
          try WholeFile.confirmWritable(folder + path, makesFolders: makesFolders)
          return "none"
        } catch {
          return error.description
        }
      }
      #expect(refusal("/new") == "none" && refusal("/file") == "none")
      #expect(refusal("/taken") == "\(folder)/taken: cannot be written: Is a directory")
      #expect(refusal("/a/b/c") == "\(folder)/a/b/c: cannot be written: No such file or directory")
      #expect(refusal("/a/b/c", makesFolders: true) == "none")
      for makesFolders in [false, true] {
        let found = refusal("/file/b", makesFolders: makesFolders)
        #expect(found == "\(folder)/file/b: cannot be written: Not a directory", "\(found)")
        for path in ["/new/", "/new/.", "/new/.."] {
          let found = refusal(path, makesFolders: makesFolders)
          #expect(found == "\(folder)\(path): cannot be written: the path is that of a folder", "\(found)")
        }
        let empty = #expect(throws: FileError.self) { try WholeFile.confirmWritable("", makesFolders: makesFolders) }
        #expect(empty?.description == "\"\": cannot be written: the path is empty")
      }
      #expect(names.sorted() == ["file", "taken"])
      try WholeFile.confirmWritable("name-of-no-folder")
      try WholeFile.confirmWritable("folder-of-no-name/file", makesFolders: true)
    }
  }

  @Test("a folder that may not be written to is told before there is anything to write")
  func forbidden() async {
    await #expect(processExitsWith: .success) {
      try withScratchFolder { folder in
        try becomeOrdinaryUser(owning: folder)
        try WholeFile.makeFolder(folder + "/closed")
        #expect(chmod(folder + "/closed", 0o500) == 0)
        for path in ["/closed/a", "/closed/a/b"] {
          let error = #expect(throws: FileError.self) {
            try WholeFile.confirmWritable(folder + path, makesFolders: true)
          }
          #expect(error?.description == "\(folder)\(path): cannot be written: Permission denied")
        }
      }
    }
  }

  @Test("folders are made with those above them, again without complaint, and not over a file")
  func folders() throws {
    try withFolder {
      try WholeFile.makeFolder(folder + "/a/b/c/")
      try WholeFile.makeFolder(folder + "/a/b")
      try WholeFile.write("text", to: folder + "/a/b/c/file")
      let error = try #require(throws: FileError.self) { try WholeFile.makeFolder(folder + "/a/b/c/file") }
      #expect(error.description == "\(folder)/a/b/c/file: cannot make this folder: File exists")
      #expect(throws: FileError.self) { try WholeFile.makeFolder(folder + "/a/b/c/file/d") }
    }
  }

  @Test("removing what is not there is no error, and removing a folder is one")
  func removing() throws {
    try withFolder {
      try WholeFile.write("text", to: folder + "/a.txt")
      try WholeFile.remove(folder + "/a.txt")
      try WholeFile.remove(folder + "/a.txt")
      #expect(names.isEmpty)
      #expect(throws: FileError.self) { try WholeFile.remove(folder) }
    }
  }
}
