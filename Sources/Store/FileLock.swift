import Glibc

/// An exclusive lock between processes, and between threads, on a file made for the purpose. The kernel releases it
/// when a process dies.
public struct FileLock: Sendable {
  private let descriptor: Int32

  /// Waits for the lock; nil in a store that may only be read, where the file can be neither made nor written.
  /// - Throws: ``StoreError`` `unwritable` for whatever else keeps the lock from being had: to go on without it would
  ///   be to go on beside others.
  public init?(_ path: String) throws(StoreError) {
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      if [EACCES, EPERM, EROFS].contains(errno) { return nil }
      throw Disk.unwritable(path)
    }
    while flock(descriptor, LOCK_EX) != 0 {
      if errno == EINTR { continue }
      let code = errno
      close(descriptor)
      throw Disk.unwritable(path, code)
    }
  }

  /// Lets others have it.
  public func release() { close(descriptor) }
}
