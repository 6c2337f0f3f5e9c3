import Configuration
import Foundation
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
