import FoundationEssentials

/// Why a file's bytes cannot be had, in words that follow its name.
struct UnreadableFile: Error {
  let reason: String
}

/// The bytes of a file.
func contents(of path: String) throws(UnreadableFile) -> Data {
  do {
    return try Data(contentsOf: URL(fileURLWithPath: path))
  } catch {
    var isFolder = false
    let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    throw UnreadableFile(
      reason: !exists ? "there is no such file" : isFolder ? "this is a folder" : "it cannot be read")
  }
}
