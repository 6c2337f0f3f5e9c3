import FoundationEssentials

extension JSON {
  /// Reads a file that holds one JSON value; errors name the file and, within it, line and column.
  public static func read(_ path: String) throws(JSONError) -> JSON {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      var isFolder = false
      let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      let reason = !exists ? "there is no such file" : isFolder ? "this is a folder" : "it cannot be read"
      throw JSONError(file: path, line: nil, column: nil, message: reason)
    }
    return try parse(data, file: path)
  }
}
