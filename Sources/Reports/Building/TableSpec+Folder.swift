internal import Workbench

extension TableSpec {
  /// The folder that relative paths of the specification start from: its file's own.
  public var folder: String { FilePlace(file).folder }

  /// The folder for the report's files: the specification's own choice, else `reports/NAME` beside the store.
  public func outputFolder(besideStore store: String) -> String {
    if let outputFolder { return Self.path(of: outputFolder, in: folder) }
    return Self.path(of: "../reports/" + FilePlace(file).name, in: store)
  }
}
