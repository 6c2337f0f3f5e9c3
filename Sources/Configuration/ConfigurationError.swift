/// A configuration that is refused: which file, which key in it, and what would have been right.
public struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  /// The file the value was written in, where it was written in one.
  public var file: String?
  /// The dotted path of the offending value; empty for the whole document.
  public var keyPath: String
  /// One clause that says what is wrong and what was expected.
  public var message: String

  public init(file: String? = nil, keyPath: String = "", _ message: String) {
    self.file = file
    self.keyPath = keyPath
    self.message = message
  }

  public var description: String {
    [file, keyPath.isEmpty ? nil : keyPath, message].compactMap(\.self).joined(separator: ": ")
  }

  /// The same refusal seen from further out: the file is added, and the path that leads to the configuration.
  public func inside(file: String?, keyPath outer: String) -> ConfigurationError {
    ConfigurationError(file: self.file ?? file, keyPath: joined(outer, keyPath), message)
  }
}

/// Joins two dotted key paths, either of which may be empty.
func joined(_ outer: String, _ inner: String) -> String {
  outer.isEmpty ? inner : inner.isEmpty ? outer : outer + "." + inner
}
