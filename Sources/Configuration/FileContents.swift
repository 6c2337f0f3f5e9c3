import FoundationEssentials
import Glibc

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
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder {
      throw UnreadableFile(reason: "this is a folder")
    }
    throw UnreadableFile(reason: access(path, R_OK) == 0 ? "it cannot be read" : readingProblem(errno))
  }
}

/// What an error number of the system says of a path that was to be read, in words that follow its name.
public func readingProblem(_ code: Int32) -> String {
  switch code {
  case ENOENT, ENOTDIR: "there is no such file"
  case EACCES, EPERM: "it cannot be read: no permission"
  default: "it cannot be read: \(String(cString: strerror(code)))"
  }
}

/// Whether a path may lead to something that the user has no permission to read, or to look for: what is asked only
/// whether it is there is told as missing then.
public func isReadingForbidden(_ path: String) -> Bool {
  access(path, R_OK) != 0 && (errno == EACCES || errno == EPERM)
}
