/// A number of bytes as people write it: `8GiB`, `500MB`, `1.5 GiB`, or plain bytes.
public struct ByteCount: Sendable, Hashable, Comparable, CustomStringConvertible {
  public let bytes: Int

  public init(_ bytes: Int) { self.bytes = bytes }

  /// By powers of 1,024 with an i, by powers of 1,000 without.
  private static let units: [(name: String, bytes: Double)] = [
    ("B", 1), ("kB", 1e3), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12),
    ("KiB", 0x1p10), ("MiB", 0x1p20), ("GiB", 0x1p30), ("TiB", 0x1p40),
  ]

  /// - Throws: ``ConfigurationError`` for text that is no number of bytes, or for none and more than any memory.
  public init(parsing text: String) throws(ConfigurationError) {
    let text = text.split(separator: " ").joined()
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = String(text.dropFirst(digits.count))
    guard let number = Double(digits) else {
      throw ConfigurationError("a number of bytes was expected, such as 8GiB or 500MB, found \"\(text)\"")
    }
    let known = ByteCount.units.first { $0.name.lowercased() == unit.lowercased() }
    guard let size = unit.isEmpty ? 1 : known?.bytes else {
      throw ConfigurationError(
        "\"\(unit)\" is no unit of memory" + suggestion(for: unit, among: ByteCount.units.map(\.name)))
    }
    guard number * size >= 1, number * size < 0x1p62 else {
      throw ConfigurationError("\"\(text)\" is no amount of memory that a machine has")
    }
    bytes = Int(number * size)
  }

  public static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }

  /// Every one of them: `7945689498 bytes`.
  public var exact: String { Self.exact(bytes) }

  /// The same of a number that a file claims, which may be more than any memory has.
  public static func exact(_ bytes: some BinaryInteger) -> String { bytes == 1 ? "1 byte" : "\(bytes) bytes" }

  /// With one decimal in the largest unit of powers of 1,024: `7.4 GiB`; below the first of them `12 bytes`.
  public var description: String {
    guard bytes >= 1024 else { return exact }
    var size = Double(bytes)
    for unit in ["KiB", "MiB", "GiB"] {
      size /= 1024
      if size < 1023.95 { return "\((size * 10).rounded() / 10) \(unit)" }
    }
    return "\((size / 1024 * 10).rounded() / 10) TiB"
  }
}
