internal import Configuration
import Glibc

/// Immutable objects named by the SHA-256 of their bytes: `objects/ab/cdef...`.
///
/// Any number of threads and processes may add to and read from one store at once, a fresh one included. An object is
/// visible only when all its bytes are on the disk. Adding what is there already changes nothing.
public struct ObjectStore: Sendable {
  /// The store's folder.
  public let folder: String

  var objectsFolder: String { folder + "/objects" }
  var temporaryFolder: String { folder + "/temporary" }

  /// The objects of the store in `folder`. Nothing is made on the disk until the first object is added.
  public init(folder: String) {
    self.folder = folder
  }

  /// Where the object lies, whether or not it is there.
  public func path(of digest: Digest) -> String {
    Shards.path(of: digest, in: objectsFolder)
  }

  public func contains(_ digest: Digest) -> Bool {
    Disk.isFile(path(of: digest))
  }

  /// The object's size in bytes, nil if it is not in the store.
  public func size(of digest: Digest) -> Int? {
    Disk.size(of: path(of: digest))
  }

  // MARK: Adding

  /// Adds one object and returns when it is safe on the disk.
  @discardableResult
  public func add(_ bytes: UnsafeRawBufferPointer) throws(StoreError) -> Digest {
    let batch = ObjectBatch(self)
    let digest = try batch.add(bytes)
    try batch.commit()
    return digest
  }

  @discardableResult
  public func add(_ bytes: [UInt8]) throws(StoreError) -> Digest {
    let batch = ObjectBatch(self)
    let digest = try batch.add(bytes)
    try batch.commit()
    return digest
  }

  /// Adds the UTF-8 bytes of `text`.
  @discardableResult
  public func add(_ text: String) throws(StoreError) -> Digest {
    try add(Array(text.utf8))
  }

  /// Adds a file of any size, hashing while it copies.
  @discardableResult
  public func add(fileAt path: String) throws(StoreError) -> Digest {
    let batch = ObjectBatch(self)
    let digest = try batch.add(fileAt: path)
    try batch.commit()
    return digest
  }

  // MARK: Reading

  /// The object's bytes, checked against its name.
  public func read(_ digest: Digest) throws(StoreError) -> [UInt8] {
    let path = path(of: digest)
    guard Disk.isFile(path) else { throw missing(digest) }
    let bytes = try Disk.read(path)
    guard Digest(hashing: bytes) == digest else { throw damaged(digest) }
    return bytes
  }

  /// Objects of JSON larger than this are no manifests; nothing the store writes comes near it.
  private static let largestManifest = 64 << 20

  /// The object as JSON if it is a manifest, a JSON object that names other objects; nil if it is anything else, or not
  /// there.
  /// - Throws: ``StoreError`` `unreadable`, or `damagedObject`: a damaged manifest hides what it names.
  func manifest(_ digest: Digest) throws(StoreError) -> JSON? {
    let path = path(of: digest)
    guard let size = Disk.size(of: path), size <= Self.largestManifest,
      try Disk.firstByte(of: path) == UInt8(ascii: "{")
    else { return nil }
    let bytes = try read(digest)
    return try? JSON.parse(bytes, file: "object \(digest)")
  }

  /// Lends the object's bytes from a memory map, checked against its name: for objects too large to copy.
  public func withBytes<Result>(of digest: Digest, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
    let path = path(of: digest)
    guard Disk.isFile(path) else { throw missing(digest) }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Disk.unreadable(path) }
    defer { close(descriptor) }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { throw Disk.unreadable(path) }
    let size = Int(information.st_size)
    // An empty file cannot be mapped, and needs no map.
    guard size > 0 else {
      guard Digest(hashing: []) == digest else { throw damaged(digest) }
      return try body(UnsafeRawBufferPointer(start: nil, count: 0))
    }
    guard let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
      throw Disk.unreadable(path)
    }
    defer { munmap(address, size) }
    let bytes = UnsafeRawBufferPointer(start: address, count: size)
    guard Digest(hashing: bytes) == digest else { throw damaged(digest) }
    return try body(bytes)
  }

  /// Hashes the object again without handing out its bytes.
  /// - Throws: ``StoreError`` `missingObject`, `damagedObject` or `unreadable`.
  public func check(_ digest: Digest) throws(StoreError) {
    let path = path(of: digest)
    guard Disk.isFile(path) else { throw missing(digest) }
    guard try Digest.ofFile(at: path).digest == digest else { throw damaged(digest) }
  }

  /// All objects in the store, sorted; files that are no objects are left out.
  public func list() throws(StoreError) -> [Digest] {
    try Shards.digests(in: objectsFolder)
  }

  private func missing(_ digest: Digest) -> StoreError {
    StoreError(.missingObject, "the store \(folder) has no object \(digest)")
  }

  private func damaged(_ digest: Digest) -> StoreError {
    StoreError(
      .damagedObject,
      "object \(digest) is damaged: its bytes do not match its name; remove \(path(of: digest)) and whatever needs it "
        + "is computed again")
  }
}
