internal import CZlib
internal import Configuration

/// The entries of a zip archive that keeps its files as they are.
///
/// Compressed entries are refused: PyTorch writes none, and one of a few bytes can stand for more than a memory holds.
/// Archives beyond 4 GiB (zip64) are read.
struct ZipArchive {
  let mapping: FileMapping
  /// The bytes of each entry, by its name.
  let entries: [String: Range<Int>]
  private let checksums: [String: UInt32]

  private static let endSignature: UInt32 = 0x0605_4b50
  private static let wideEndSignature: UInt32 = 0x0606_4b50
  private static let wideLocatorSignature: UInt32 = 0x0706_4b50
  private static let entrySignature: UInt32 = 0x0201_4b50
  private static let localSignature: UInt32 = 0x0403_4b50
  /// Of the records before their texts.
  private static let (endSize, wideLocatorSize, wideEndSize, entrySize, localSize) = (22, 20, 56, 46, 30)

  /// Whether a file begins as an archive does.
  static func isArchive(_ mapping: FileMapping) -> Bool {
    mapping.count >= 4 && mapping.integer(0, as: UInt32.self) == localSignature
  }

  /// - Throws: `FileError` for what is no such archive, is truncated, or has compressed or overlapping entries.
  init(_ mapping: FileMapping, path: String) throws(FileError) {
    self.mapping = mapping
    let directory = try Self.directory(mapping, path)
    var entries: [String: Range<Int>] = [:]
    var checksums: [String: UInt32] = [:]
    var offset = directory.start
    for _ in 0..<directory.count {
      guard offset + Self.entrySize <= mapping.count, mapping.integer(offset, as: UInt32.self) == Self.entrySignature
      else { throw FileError(path, "truncated: its directory of \(directory.count) entries ends early") }
      let (name, range, next) = try Self.entry(at: offset, mapping, path)
      checksums[name] = mapping.integer(offset + 16, as: UInt32.self)
      guard entries.updateValue(range, forKey: name) == nil else {
        throw FileError(path, "has two entries \"\(name)\"")
      }
      offset = next
    }
    let ranges = entries.values.filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
    for (a, b) in zip(ranges, ranges.dropFirst()) where a.upperBound > b.lowerBound {
      throw FileError(path, "two of its entries overlap")
    }
    self.entries = entries
    self.checksums = checksums
  }

  /// Holds an entry's bytes against the checksum (CRC-32) in the directory. For a small entry: those of tensors are
  /// gigabytes. PyTorch writes 0 where it was told to leave checksums out.
  ///
  /// - Throws: `FileError` where they do not agree.
  func confirmChecksum(of name: String, path: String) throws(FileError) {
    guard let range = entries[name], let written = checksums[name], written != 0 else { return }
    let bytes = UnsafeRawBufferPointer(rebasing: mapping.bytes[range]).bindMemory(to: UInt8.self)
    let found = UInt32(crc32_z(0, bytes.baseAddress, bytes.count))
    guard found == written else {
      throw FileError(
        path, "its entry \"\(name)\" is damaged: its checksum (CRC-32) is not the one that was written with it")
    }
  }

  /// Where the directory begins, and how many entries it has.
  private static func directory(_ mapping: FileMapping, _ path: String) throws(FileError) -> (start: Int, count: Int) {
    // The end record is followed by a comment of at most 65,535 bytes.
    let first = max(0, mapping.count - endSize - Int(UInt16.max))
    var end = mapping.count - endSize
    while end >= first, mapping.integer(end, as: UInt32.self) != endSignature { end -= 1 }
    guard end >= first, end >= 0 else {
      throw FileError(path, "truncated: a zip archive without the directory at its end")
    }
    var count = UInt64(mapping.integer(end + 10, as: UInt16.self))
    var start = UInt64(mapping.integer(end + 16, as: UInt32.self))
    let locator = end - wideLocatorSize
    if count == UInt64(UInt16.max) || start == UInt64(UInt32.max), locator >= 0,
      mapping.integer(locator, as: UInt32.self) == wideLocatorSignature
    {
      let wide = mapping.integer(locator + 8, as: UInt64.self)
      guard mapping.count >= wideEndSize, wide <= UInt64(mapping.count - wideEndSize),
        mapping.integer(Int(wide), as: UInt32.self) == wideEndSignature
      else { throw FileError(path, "truncated: its wide directory (zip64) is not where its end says") }
      count = mapping.integer(Int(wide) + 32, as: UInt64.self)
      start = mapping.integer(Int(wide) + 48, as: UInt64.self)
    }
    guard start <= UInt64(mapping.count), count <= UInt64(mapping.count / entrySize) else {
      throw FileError(path, "truncated: its directory of \(count) entries lies at byte \(start) of \(mapping.count)")
    }
    return (Int(start), Int(count))
  }

  /// The entry of the directory at an offset: its name, where its bytes lie, and where the next entry begins.
  private static func entry(
    at offset: Int, _ mapping: FileMapping, _ path: String
  ) throws(FileError) -> (name: String, range: Range<Int>, next: Int) {
    let method = mapping.integer(offset + 10, as: UInt16.self)
    let packed = UInt64(mapping.integer(offset + 20, as: UInt32.self))
    var size = UInt64(mapping.integer(offset + 24, as: UInt32.self))
    let nameLength = Int(mapping.integer(offset + 28, as: UInt16.self))
    let extraLength = Int(mapping.integer(offset + 30, as: UInt16.self))
    let commentLength = Int(mapping.integer(offset + 32, as: UInt16.self))
    var local = UInt64(mapping.integer(offset + 42, as: UInt32.self))
    let extra = offset + entrySize + nameLength
    guard extra + extraLength + commentLength <= mapping.count else {
      throw FileError(path, "truncated: an entry of its directory ends past the file")
    }
    let name = String(decoding: mapping.bytes[(extra - nameLength)..<extra], as: UTF8.self)
    guard method == 0 else {
      throw FileError(
        path, "its entry \"\(name)\" is compressed (method \(method)); PyTorch writes entries as they are")
    }
    // Numbers that do not fit stand in an extra field (1), those that do are left out of it.
    if size == UInt64(UInt32.max) || local == UInt64(UInt32.max) {
      var wide = wideNumbers(extra..<extra + extraLength, mapping)[...]
      if size == UInt64(UInt32.max) { size = wide.popFirst() ?? size }
      if packed == UInt64(UInt32.max) { _ = wide.popFirst() }
      if local == UInt64(UInt32.max) { local = wide.popFirst() ?? local }
    }
    guard mapping.count >= localSize, local <= UInt64(mapping.count - localSize),
      mapping.integer(Int(local), as: UInt32.self) == localSignature
    else { throw FileError(path, "its entry \"\(name)\" is not where the directory says") }
    let start =
      Int(local) + localSize + Int(mapping.integer(Int(local) + 26, as: UInt16.self))
      + Int(mapping.integer(Int(local) + 28, as: UInt16.self))
    guard start <= mapping.count, size <= UInt64(mapping.count - start) else {
      let length = ByteCount.exact(size)
      throw FileError(path, "truncated: its entry \"\(name)\" of \(length) ends past the file's \(mapping.count)")
    }
    return (name, start..<start + Int(size), extra + extraLength + commentLength)
  }

  /// The numbers of the extra field for sizes and offsets beyond 32 bits.
  private static func wideNumbers(_ extra: Range<Int>, _ mapping: FileMapping) -> [UInt64] {
    var offset = extra.lowerBound
    while offset + 4 <= extra.upperBound {
      let kind = mapping.integer(offset, as: UInt16.self)
      let length = Int(mapping.integer(offset + 2, as: UInt16.self))
      let end = min(offset + 4 + length, extra.upperBound)
      if kind == 1 {
        return stride(from: offset + 4, to: end - 7, by: 8).map { mapping.integer($0, as: UInt64.self) }
      }
      offset = end
    }
    return []
  }
}
