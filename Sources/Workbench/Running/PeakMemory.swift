internal import Foundation

/// The most memory that this process has held, as the kernel counts it.
enum PeakMemory {
  /// Begins to count anew, where the kernel allows it.
  ///
  /// - Returns: whether it does; otherwise ``current`` is the peak since the process began.
  static func reset() -> Bool {
    // The kernel's name for "the peak of the resident set", proc(5).
    guard let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return false }
    defer { try? file.close() }
    return (try? file.write(contentsOf: Data("5".utf8))) != nil
  }

  /// Bytes; nil where the kernel does not tell.
  static var current: Int? {
    guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    // "VmHWM:     12345 kB"
    return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
  }
}
