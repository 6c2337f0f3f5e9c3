import CCrypto

/// A SHA-256 digest (FIPS 180-4): 32 bytes that name what has them.
///
/// Digests order as their hexadecimal text does, so that listings are sorted the same way everywhere.
public struct Digest: Hashable, Comparable, Sendable {
  // Four big-endian words: hashing and comparing touch no heap, and word order is text order.
  private let words: (UInt64, UInt64, UInt64, UInt64)

  /// The digest of `bytes`.
  public init(hashing bytes: UnsafeRawBufferPointer) {
    var stream = DigestStream()
    stream.update(bytes)
    self = stream.finish()
  }

  /// The digest of `bytes`.
  public init(hashing bytes: [UInt8]) {
    self = bytes.withUnsafeBytes { Digest(hashing: $0) }
  }

  /// The digest of the UTF-8 bytes of `text`.
  public init(hashing text: String) {
    var text = text
    self = text.withUTF8 { Digest(hashing: UnsafeRawBufferPointer($0)) }
  }

  /// A digest from its 64 hexadecimal digits in lower case; nil if `hex` is anything else.
  public init?(hex: some StringProtocol) {
    var words: [UInt64] = [0, 0, 0, 0]
    var count = 0
    for character in hex.utf8 {
      guard count < 64, let digit = hexadecimalValue(character) else { return nil }
      words[count / 16] = words[count / 16] << 4 | digit
      count += 1
    }
    guard count == 64 else { return nil }
    self.words = (words[0], words[1], words[2], words[3])
  }

  /// The digest and the size of a file of any size, read piece by piece.
  /// - Parameter progress: called after each piece with the bytes that are read.
  /// - Throws: ``StoreError`` `unreadable`.
  public static func ofFile(
    at path: String, progress: (Int) -> Void = { _ in }
  ) throws(StoreError) -> (digest: Digest, bytes: Int) {
    var stream = DigestStream()
    var bytes = 0
    try Disk.forEachPiece(of: path) { piece throws(StoreError) in
      stream.update(piece)
      bytes += piece.count
      progress(bytes)
    }
    return (stream.finish(), bytes)
  }

  fileprivate init(rawBytes: [UInt8]) {
    var words: [UInt64] = [0, 0, 0, 0]
    for index in 0..<32 { words[index / 8] = words[index / 8] << 8 | UInt64(rawBytes[index]) }
    self.words = (words[0], words[1], words[2], words[3])
  }

  /// The 64 hexadecimal digits, lower case: what `sha256sum` prints.
  public var hex: String {
    String(unsafeUninitializedCapacity: 64) { buffer in
      var index = 0
      for word in [words.0, words.1, words.2, words.3] {
        for shift in stride(from: 60, through: 0, by: -4) {
          let digit = UInt8(truncatingIfNeeded: word &>> UInt64(shift)) & 15
          buffer[index] = digit < 10 ? 48 + digit : 87 + digit
          index += 1
        }
      }
      return 64
    }
  }

  /// The first 12 digits, for people: two of a million objects share them with a chance of one in five hundred.
  public var short: String { String(hex.prefix(12)) }

  public static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }
  public static func < (left: Digest, right: Digest) -> Bool { left.words < right.words }
  public func hash(into hasher: inout Hasher) {
    // A digest is evenly spread already: one word of it is as good a hash as all four.
    hasher.combine(words.0)
  }
}

extension Digest: CustomStringConvertible {
  public var description: String { hex }
}

/// SHA-256 of bytes that arrive piece by piece.
public struct DigestStream: ~Copyable {
  private let context: OpaquePointer

  public init() {
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, SHA256.method, nil) == 1 else {
      preconditionFailure("libcrypto offers no SHA-256")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  /// Takes the next bytes in.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count > 0 else { return }
    let taken = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    precondition(taken == 1, "libcrypto could not continue a SHA-256")
  }

  /// The digest of everything taken in.
  public consuming func finish() -> Digest {
    var bytes = [UInt8](repeating: 0, count: 32)
    let done = EVP_DigestFinal_ex(context, &bytes, nil)
    precondition(done == 1, "libcrypto could not finish a SHA-256")
    return Digest(rawBytes: bytes)
  }
}

private enum SHA256 {
  // Fetched once: the implicit fetch inside `EVP_sha256()` costs more than hashing a short key. libcrypto's method
  // objects are immutable and shared between threads.
  nonisolated(unsafe) static let method: OpaquePointer? = EVP_MD_fetch(nil, "SHA256", nil)
}

/// The value of a hexadecimal digit in lower case, nil for any other character.
func hexadecimalValue(_ character: UInt8) -> UInt64? {
  switch character {
  case 48...57: UInt64(character - 48)
  case 97...102: UInt64(character - 87)
  default: nil
  }
}
