extension JSON {
  /// Reads a file that holds one JSON value; errors name the file and, within it, line and column.
  public static func read(_ path: String) throws(JSONError) -> JSON {
    let text: [UInt8]
    do throws(UnreadableFile) {
      text = Array(try contents(of: path))
    } catch {
      throw JSONError(file: path, line: nil, column: nil, message: error.reason)
    }
    return try parse(text, file: path)
  }
}
