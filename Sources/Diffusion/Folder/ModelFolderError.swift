/// What is wrong with a model folder: one sentence that names the file and, where there is one, the key or weight.
public struct ModelFolderError: Error, CustomStringConvertible, Equatable {
  /// The file or folder that is at fault, as it was named by the caller.
  public let file: String
  /// The key of a configuration file or the name of a weight.
  public let key: String?
  public let message: String

  public init(file: String, key: String? = nil, _ message: String) {
    self.file = file
    self.key = key
    self.message = message
  }

  public var description: String {
    guard let key else { return "\(file): \(message)" }
    return "\(file): `\(key)`: \(message)"
  }
}
