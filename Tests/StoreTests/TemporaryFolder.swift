import Foundation

/// A fresh folder that goes away with the value.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "lethe-store-tests-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The files below the folder, relative to it, in order.
  func files(under subfolder: String = "") -> [String] {
    let root = subfolder.isEmpty ? path : path + "/" + subfolder
    guard let all = FileManager.default.enumerator(atPath: root) else { return [] }
    return all.compactMap { $0 as? String }.filter {
      var isFolder: ObjCBool = false
      return FileManager.default.fileExists(atPath: root + "/" + $0, isDirectory: &isFolder) && !isFolder.boolValue
    }.sorted()
  }
}

/// Replaces a file's bytes in spite of its read-only mode, as a failing disk would.
func overwrite(_ path: String, with bytes: [UInt8]) throws {
  try FileManager.default.removeItem(atPath: path)
  try Data(bytes).write(to: URL(fileURLWithPath: path))
}
