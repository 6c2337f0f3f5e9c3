import Glibc
import Synchronization

/// The few POSIX calls on which the store's promises rest, with their failures turned into sentences.
///
/// Everything that publishes goes the same way: write a temporary file, sync it, rename or link it into place, sync the
/// folder. A crash between any two of these leaves the old state and at most one temporary file.
enum Disk {
  /// The system's words for the error of the last call.
  static func reason(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }

  static func unwritable(_ path: String, _ code: Int32 = errno) -> StoreError {
    StoreError(.unwritable, "cannot write \(path): \(reason(code))")
  }

  static func unreadable(_ path: String, _ code: Int32 = errno) -> StoreError {
    StoreError(.unreadable, "cannot read \(path): \(reason(code))")
  }

  // MARK: Folders

  /// Makes `path` and what is missing above it; several processes may do so at once.
  /// - Returns: whether this call made `path` itself.
  @discardableResult
  static func makeFolder(_ path: String) throws(StoreError) -> Bool {
    if mkdir(path, 0o777) == 0 { return true }
    var code = errno
    if code == ENOENT, let parent = parent(of: path), parent != path {
      try makeFolder(parent)
      if mkdir(path, 0o777) == 0 { return true }
      code = errno
    }
    if code == EEXIST || code == EROFS || code == EACCES || code == EPERM {
      var information = stat()
      if stat(path, &information) == 0 {
        if information.st_mode & S_IFMT == S_IFDIR { return false }
        throw StoreError(.unwritable, "cannot make the folder \(path): a file of that name is in the way")
      }
    } else if code == ENOTDIR, let parent = parent(of: path), parent != path {
      // Somewhere above a file stands where a folder should: let the sentence name that file.
      try makeFolder(parent)
    }
    throw StoreError(.unwritable, "cannot make the folder \(path): \(reason(code))")
  }

  /// Makes `path` and what is missing above it, and returns when the new folders are on the disk.
  static func makeDurableFolder(_ path: String) throws(StoreError) {
    var information = stat()
    if stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR { return }
    let parent = parent(of: path)
    if let parent, parent != path { try makeDurableFolder(parent) }
    if try makeFolder(path), let parent { try sync(parent) }
  }

  static func parent(of path: String) -> String? {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The names in a folder in byte order, without `.` and `..`; empty if the folder is not there.
  static func names(in folder: String) throws(StoreError) -> [String] {
    guard let stream = opendir(folder) else {
      if errno == ENOENT { return [] }
      throw unreadable(folder)
    }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    if errno != 0 { throw unreadable(folder) }
    return names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
  }

  // MARK: Files

  static func size(of path: String) -> Int? {
    var information = stat()
    return stat(path, &information) == 0 ? Int(information.st_size) : nil
  }

  static func isFile(_ path: String) -> Bool {
    var information = stat()
    return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFREG
  }

  /// When the file was last written or freshened, in seconds since 1970; nil if it is not there.
  static func modified(_ path: String) -> Double? {
    var information = stat()
    guard stat(path, &information) == 0 else { return nil }
    return Double(information.st_mtim.tv_sec) + Double(information.st_mtim.tv_nsec) * 1e-9
  }

  static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// Sets the file's time to now: tells a collector that somebody counts on the file again.
  static func freshen(_ path: String) {
    // Failing is harmless where it can happen (a store that is only read).
    _ = utimensat(AT_FDCWD, path, nil, 0)
  }

  static func read(_ path: String) throws(StoreError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unreadable(path) }
    defer { close(descriptor) }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { throw unreadable(path) }
    guard information.st_mode & S_IFMT == S_IFREG else {
      throw StoreError(.unreadable, "cannot read \(path): it is not a file")
    }
    let size = Int(information.st_size)
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      while count < size {
        let got = Glibc.read(descriptor, buffer.baseAddress! + count, size - count)
        if got < 0 && errno == EINTR { continue }
        if got < 0 { failure = errno }
        if got <= 0 { break }
        count += got
      }
    }
    if failure != 0 { throw unreadable(path, failure) }
    return bytes
  }

  /// Nil if the file is empty.
  static func firstByte(of path: String) throws(StoreError) -> UInt8? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unreadable(path) }
    defer { close(descriptor) }
    var byte: UInt8 = 0
    let count = Glibc.read(descriptor, &byte, 1)
    guard count >= 0 else { throw unreadable(path) }
    return count == 1 ? byte : nil
  }

  /// Hands on a file's bytes in pieces of at most 256 KiB.
  static func forEachPiece(
    of path: String, _ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void
  ) throws(StoreError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unreadable(path) }
    defer { close(descriptor) }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { throw unreadable(path) }
    guard information.st_mode & S_IFMT == S_IFREG else {
      throw StoreError(.unreadable, "cannot read \(path): it is not a file")
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
    defer { buffer.deallocate() }
    while true {
      let got = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if got < 0 && errno == EINTR { continue }
      if got < 0 { throw unreadable(path) }
      if got == 0 { return }
      try body(UnsafeRawBufferPointer(rebasing: buffer[..<got]))
    }
  }

  /// Writes a temporary file; see ``writeTemporary(_:in:)-(UnsafeRawBufferPointer,_)``.
  static func writeTemporary(_ text: String, in folder: String) throws(StoreError) -> String {
    var text = text
    // `withUTF8` does not carry typed errors through, hence the Result.
    let result: Result<String, StoreError> = text.withUTF8 { buffer in
      do throws(StoreError) {
        return .success(try writeTemporary(UnsafeRawBufferPointer(buffer), in: folder))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String) throws(StoreError) {
    var rest = bytes
    while rest.count > 0 {
      let written = write(descriptor, rest.baseAddress, rest.count)
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else { throw unwritable(path) }
      rest = UnsafeRawBufferPointer(rebasing: rest[written...])
    }
  }

  static func remove(_ path: String) throws(StoreError) {
    if unlink(path) != 0 && errno != ENOENT { throw unwritable(path) }
  }

  // MARK: Publishing

  private static let counter = Atomic<UInt64>(0)

  /// Opens a new file of a name that no other process or thread uses.
  static func openTemporary(in folder: String) throws(StoreError) -> (descriptor: Int32, path: String) {
    var madeFolder = false
    while true {
      let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
      let random = String(UInt64.random(in: 0 ... .max), radix: 16)
      let path = "\(folder)/\(getpid())-\(number)-\(random)"
      // Read-only for everybody once closed: what is in a store is never edited in place.
      let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o444)
      if descriptor >= 0 { return (descriptor, path) }
      if (errno == ENOENT || errno == ENOTDIR) && !madeFolder {
        try makeFolder(folder)
        madeFolder = true
      } else if errno != EEXIST && errno != EINTR {
        throw unwritable(folder)
      }
    }
  }

  static func writeTemporary(_ bytes: UnsafeRawBufferPointer, in folder: String) throws(StoreError) -> String {
    let (descriptor, path) = try openTemporary(in: folder)
    do throws(StoreError) {
      try writeAll(bytes, to: descriptor, path: path)
    } catch {
      close(descriptor)
      unlink(path)
      throw error
    }
    close(descriptor)
    return path
  }

  /// Waits until the file's or folder's content is on the disk.
  static func sync(_ path: String) throws(StoreError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw unwritable(path) }
    defer { close(descriptor) }
    while fsync(descriptor) != 0 {
      // A few file systems (FUSE) know no sync of folders; there is nothing more that could be done there.
      if errno == EINVAL { return }
      if errno != EINTR { throw unwritable(path) }
    }
  }

  static func move(_ source: String, to target: String) throws(StoreError) {
    guard rename(source, target) == 0 else { throw unwritable(target) }
  }

  /// Gives a synced temporary file its name unless the name is taken; the file then stays where it is.
  /// - Returns: whether the file has the name now.
  static func moveUnlessPresent(_ source: String, to target: String) throws(StoreError) -> Bool {
    if link(source, target) == 0 {
      unlink(source)
      return true
    }
    let code = errno
    if code == EEXIST { return false }
    // File systems without hard links: the check and the rename are two steps there, which is the best they offer.
    if code == EPERM || code == EOPNOTSUPP || code == ENOSYS || code == EMLINK {
      if access(target, F_OK) == 0 { return false }
      try move(source, to: target)
      return true
    }
    throw unwritable(target, code)
  }
}
