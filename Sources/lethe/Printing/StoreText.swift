/// Figures about a store in words.
enum StoreText {
  /// `12 bytes`, `3.4 MiB`.
  static func size(_ bytes: Int) -> String {
    var size = Double(bytes)
    guard bytes >= 1024 else { return "\(bytes) bytes" }
    for unit in ["KiB", "MiB", "GiB"] {
      size /= 1024
      if size < 1024 { return "\(RunText.fixed(size, 1)) \(unit)" }
    }
    return "\(RunText.fixed(size / 1024, 1)) TiB"
  }
}
