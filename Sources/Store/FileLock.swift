import Glibc

/// An exclusive lock between processes, and between threads, on a file made for the purpose. The kernel releases it
/// when a process dies.
struct FileLock {
  private let descriptor: Int32

  /// Waits for the lock; nil if the file can neither be made nor opened, as in a store that is only read.
  init?(_ path: String) {
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { return nil }
    while flock(descriptor, LOCK_EX) != 0 {
      guard errno == EINTR else {
        close(descriptor)
        return nil
      }
    }
  }

  func release() { close(descriptor) }
}
