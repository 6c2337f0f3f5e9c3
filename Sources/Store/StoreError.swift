/// What went wrong in a store, as one sentence for the user and a code for programs.
public struct StoreError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kinds of failure a caller can act on.
  public enum Code: String, Sendable {
    /// The store, or something in it, cannot be created or written (permissions, full or read-only file system).
    case unwritable
    /// Something in the store, or a file to be added, is there but cannot be read.
    case unreadable
    /// An object that was asked for is not in the store.
    case missingObject
    /// An object's bytes no longer match its name.
    case damagedObject
    /// A cache entry, run reference or manifest is not what the store wrote.
    case damagedEntry
    /// The store was written by a version of Lethe with another layout.
    case unsupportedFormat
    /// A name or prefix fits nothing in the store.
    case unknownName
    /// A prefix fits several things in the store.
    case ambiguousName
    /// The index could not be opened, read or rebuilt.
    case index
  }

  public let code: Code
  /// One clear sentence that names the thing at fault and, where there is one, the remedy.
  public let message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message }
}
