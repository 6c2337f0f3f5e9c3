extension TableSpec {
  /// The folder that relative paths of the specification start from: its file's own.
  public var folder: String {
    let parts = file.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count > 1 else { return "." }
    let folder = parts.dropLast().joined(separator: "/")
    return folder.isEmpty ? "/" : folder
  }

  /// The folder for the report's files: the specification's own choice, else `reports/NAME` beside the store.
  public func outputFolder(besideStore store: String) -> String {
    if let outputFolder { return Self.path(of: outputFolder, in: folder) }
    let name = file.split(separator: "/").last.map(String.init) ?? file
    return Self.path(of: "../reports/" + (name.hasSuffix(".json") ? String(name.dropLast(5)) : name), in: store)
  }
}
