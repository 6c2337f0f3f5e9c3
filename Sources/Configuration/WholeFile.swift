import Glibc

/// A file or folder that cannot be written, as one sentence that names it.
public struct FileError: Error, Equatable, CustomStringConvertible {
  public let path: String
  /// What could not be done, and the system's reason where it gave one.
  public let message: String

  public var description: String { "\(path): \(message)" }

  public init(_ path: String, _ message: String) {
    self.path = path
    self.message = message
  }

  fileprivate init(_ path: String, _ problem: String, _ code: Int32) {
    self.path = path
    message = "\(problem): \(String(cString: strerror(code)))"
  }
}

/// Files that a reader sees as they were or as they will be, and never half of them.
public enum WholeFile {
  /// Writes a file by way of a temporary one beside it, synced and renamed. The folder must exist.
  ///
  /// - Throws: ``FileError``; nothing is left behind then.
  public static func write(_ bytes: [UInt8], to path: String) throws(FileError) {
    try write(to: path) { append in bytes.withUnsafeBytes(append) }
  }

  /// The same piece by piece, for what should not be in memory as a whole.
  ///
  /// - Parameter body: hands each piece of the file on, in order
  public static func write(to path: String, _ body: ((UnsafeRawBufferPointer) -> Void) -> Void) throws(FileError) {
    let temporary = "\(path).\(getpid()).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FileError(path, "cannot be written", errno) }
    var failure: Int32 = 0
    body { piece in if failure == 0 { failure = append(piece, to: descriptor) } }
    if failure == 0 && fsync(descriptor) != 0 { failure = errno }
    if close(descriptor) != 0 && failure == 0 { failure = errno }
    if failure == 0 && rename(temporary, path) != 0 { failure = errno }
    guard failure == 0 else {
      unlink(temporary)
      throw FileError(path, "cannot be written", failure)
    }
  }

  /// Writes text as UTF-8; see ``write(_:to:)-([UInt8],_)``.
  public static func write(_ text: String, to path: String) throws(FileError) {
    try write(Array(text.utf8), to: path)
  }

  /// Makes a folder and what is missing above it, unless it is there.
  public static func makeFolder(_ path: String) throws(FileError) {
    if mkdir(path, 0o777) == 0 { return }
    var code = errno
    if code == ENOENT, let parent = parent(of: path) {
      try makeFolder(parent)
      if mkdir(path, 0o777) == 0 { return }
      code = errno
    }
    // Somebody else may have made it meanwhile; and where nothing may be made, what is there is asked for still.
    guard isFolder(path) else { throw FileError(path, "cannot make this folder", code) }
  }

  /// Makes the folder that a file is to lie in, unless it is there.
  public static func makeFolder(for file: String) throws(FileError) {
    if let folder = parent(of: file) { try makeFolder(folder) }
  }

  /// Refuses a path that no file could be written to, so that it is known before the work whose result it is to take.
  /// Nothing is written.
  ///
  /// - Parameter makesFolders: whether folders that are missing are made before the file is written
  /// - Throws: ``FileError``, as a rule with the sentence that writing would end with.
  public static func confirmWritable(_ path: String, makesFolders: Bool = false) throws(FileError) {
    guard !path.isEmpty else { throw FileError("\"\"", "cannot be written: the path is empty") }
    if isFolder(path) { throw FileError(path, "cannot be written", EISDIR) }
    // Also one that is not there, and would not be made.
    guard let name = path.split(separator: "/", omittingEmptySubsequences: false).last, !["", ".", ".."].contains(name)
    else { throw FileError(path, "cannot be written: the path is that of a folder") }
    var folder = parent(of: path) ?? "."
    while makesFolders, folder != ".", access(folder, F_OK) != 0, errno == ENOENT { folder = parent(of: folder) ?? "." }
    guard access(folder, W_OK | X_OK) == 0 else { throw FileError(path, "cannot be written", errno) }
    guard isFolder(folder) else { throw FileError(path, "cannot be written", ENOTDIR) }
  }

  private static func isFolder(_ path: String) -> Bool {
    var information = stat()
    return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
  }

  /// Removes a file if it is there.
  public static func remove(_ path: String) throws(FileError) {
    if unlink(path) != 0 && errno != ENOENT { throw FileError(path, "cannot be removed", errno) }
  }

  private static func parent(of path: String) -> String? {
    var rest = path[...]
    while rest.last == "/" { rest = rest.dropLast() }
    while let last = rest.last, last != "/" { rest = rest.dropLast() }
    return rest.isEmpty ? nil : String(rest)
  }

  /// - Returns: the error's number, or 0 once all bytes are on the disk.
  private static func append(_ piece: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32 {
    var written = 0
    while written < piece.count {
      let count = Glibc.write(descriptor, piece.baseAddress! + written, piece.count - written)
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { return count < 0 ? errno : ENOSPC }
      written += count
    }
    return 0
  }
}
