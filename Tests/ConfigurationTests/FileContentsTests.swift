import Configuration
import Foundation
import TestSupport
import Testing

@Suite("Files that cannot be read")
struct FileContentsTests {
  @Test(
    "an error of the system is told as what it is",
    arguments: [
      (ENOENT, "there is no such file"), (ENOTDIR, "there is no such file"),
      (EACCES, "it cannot be read: no permission"), (EPERM, "it cannot be read: no permission"),
      (EIO, "it cannot be read: Input/output error"),
    ] as [(Int32, String)])
  func sentences(code: Int32, sentence: String) {
    #expect(readingProblem(code) == sentence)
  }

  @Test("what is missing is not forbidden, and neither is what can be read")
  func missing() throws {
    try withScratchFolder { folder in
      #expect(!isReadingForbidden(folder) && !isReadingForbidden(folder + "/none/none"))
      let error = #expect(throws: JSONError.self) { try JSON.read(folder + "/none.json") }
      #expect(error?.description == "\(folder)/none.json: there is no such file")
      let whole = #expect(throws: JSONError.self) { try JSON.read(folder) }
      #expect(whole?.description == "\(folder): this is a folder")
    }
  }

  @Test("a file without permission, and one in such a folder, are told as that", .enabled(if: geteuid() != 0))
  func forbidden() throws {
    try withScratchFolder { folder in
      let (file, inner) = (folder + "/a.json", folder + "/inner")
      try WholeFile.write("{}", to: file)
      #expect(chmod(file, 0) == 0)
      try WholeFile.makeFolder(inner)
      try WholeFile.write("{}", to: inner + "/b.json")
      #expect(chmod(inner, 0) == 0)
      defer { chmod(inner, 0o700) }
      for path in [file, inner + "/b.json"] {
        #expect(isReadingForbidden(path))
        let error = #expect(throws: JSONError.self) { try JSON.read(path) }
        #expect(error?.description == "\(path): it cannot be read: no permission")
      }
    }
  }
}
