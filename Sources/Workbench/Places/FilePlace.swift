/// The name and folder of a JSON file, from its path.
public struct FilePlace: Equatable, Sendable {
  /// The file's name without its folder and `.json`.
  public let name: String
  /// `.` where the path names no folder.
  public let folder: String

  public init(_ path: String) {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    let last = parts.last ?? ""
    name = String(last.hasSuffix(".json") ? last.dropLast(5) : last)
    let above = parts.dropLast().joined(separator: "/")
    folder = parts.count < 2 ? "." : above.isEmpty ? "/" : above
  }
}
