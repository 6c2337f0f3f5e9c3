extension JSON {
  /// Reads a file that holds one JSON value; errors name the file and, within it, line and column.
  ///
  /// - Parameter allowingInfinity: see ``parse(_:file:allowingInfinity:)``
  public static func read(_ path: String, allowingInfinity: Bool = false) throws(JSONError) -> JSON {
    let text: [UInt8]
    do throws(UnreadableFile) {
      text = try contents(of: path)
    } catch {
      throw JSONError(file: path, line: nil, column: nil, message: error.reason)
    }
    return try parse(text, file: path, allowingInfinity: allowingInfinity)
  }
}
