import FoundationEssentials
import Glibc

/// Why a file's bytes cannot be had, in words that follow its name.
public struct UnreadableFile: Error {
  public let reason: String
}

/// The bytes of a file.
public func contents(of path: String) throws(UnreadableFile) -> [UInt8] {
  do {
    return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
  } catch {
    var isFolder = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder {
      throw UnreadableFile(reason: "this is a folder")
    }
    throw UnreadableFile(reason: readingProblem(of: path))
  }
}

/// Why a path cannot be read, in words that follow its name.
///
/// - Parameter missing: what is said where there is nothing
public func readingProblem(of path: String, missing: String = "there is no such file") -> String {
  access(path, R_OK) == 0 ? "cannot be read" : readingProblem(errno, missing: missing)
}

/// What an error number of the system says of a path that was to be read, in words that follow its name.
public func readingProblem(_ code: Int32, missing: String = "there is no such file") -> String {
  switch code {
  case ENOENT, ENOTDIR: missing
  case EACCES, EPERM: "cannot be read: no permission"
  default: "cannot be read: \(String(cString: strerror(code)))"
  }
}

/// Whether there is nothing at a path. What the user has no permission to look for is not missing: whoever goes on to
/// read it refuses it then, and nothing is left out without a word.
public func isMissing(_ path: String) -> Bool {
  access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)
}
