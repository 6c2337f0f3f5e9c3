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
      (EACCES, "cannot be read: no permission"), (EPERM, "cannot be read: no permission"),
      (EIO, "cannot be read: Input/output error"),
    ] as [(Int32, String)])
  func sentences(code: Int32, sentence: String) {
    #expect(readingProblem(code) == sentence)
    #expect(readingProblem(code, missing: "is gone") == (code == ENOENT || code == ENOTDIR ? "is gone" : sentence))
  }

  @Test("what is missing is not forbidden, and neither is what can be read")
  func missing() throws {
    try withScratchFolder { folder in
      try WholeFile.write("{}", to: folder + "/a.json")
      #expect(!isMissing(folder) && !isMissing(folder + "/a.json"))
      for path in ["", folder + "/none/none", folder + "/a.json/none"] { #expect(isMissing(path), "\(path)") }
      #expect(readingProblem(of: folder + "/none", missing: "is gone") == "is gone")
      let error = #expect(throws: JSONError.self) { try JSON.read(folder + "/none.json") }
      #expect(error?.description == "\(folder)/none.json: there is no such file")
      let whole = #expect(throws: JSONError.self) { try JSON.read(folder) }
      #expect(whole?.description == "\(folder): this is a folder")
    }
  }

  @Test("a file without permission, and one in such a folder, are told as that")
  func forbidden() async {
    await #expect(processExitsWith: .success) {
      try withScratchFolder { folder in
        try becomeOrdinaryUser(owning: folder)
        let (file, inner) = (folder + "/a.json", folder + "/inner")
        try WholeFile.write("{}", to: file)
        #expect(chmod(file, 0) == 0)
        try WholeFile.makeFolder(inner)
        try WholeFile.write("{}", to: inner + "/b.json")
        #expect(chmod(inner, 0) == 0)
        defer { chmod(inner, 0o700) }
        for path in [file, inner + "/b.json"] {
          #expect(!isMissing(path))
          #expect(readingProblem(of: path) == "cannot be read: no permission")
          let error = #expect(throws: JSONError.self) { try JSON.read(path) }
          #expect(error?.description == "\(path): cannot be read: no permission")
        }
      }
    }
  }
}
