#if canImport(Glibc)
  internal import Glibc
#endif

/// What changes whenever a file does: its size, the time of its last change, and which file it is.
public struct FileStamp: Equatable, Sendable {
  private let size: Int
  private let seconds: Int
  private let nanoseconds: Int
  private let device: UInt64
  private let inode: UInt64

  init(_ status: stat) {
    size = Int(status.st_size)
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
  }

  /// The file that a path leads to now; nil where there is none.
  public init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    self.init(status)
  }
}
