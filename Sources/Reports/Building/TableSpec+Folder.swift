public import Configuration
internal import Foundation
internal import Workbench

extension TableSpec {
  /// The folder that relative paths of the specification start from: its file's own.
  public var folder: String { FilePlace(file).folder }

  /// The folder for the report's files: the specification's own choice, else `reports/NAME` beside the store.
  public func outputFolder(besideStore store: String) -> String {
    if let outputFolder { return Self.path(of: outputFolder, in: folder) }
    return Self.path(of: "../reports/" + FilePlace(file).name, in: store)
  }

  /// The text of the file of remarks, where the specification names one.
  ///
  /// - Throws: `ConfigurationError` where that cannot be read.
  public func readRemarks() throws(ConfigurationError) -> String? {
    guard let remarks else { return nil }
    let path = Self.path(of: remarks, in: folder)
    guard let data = FileManager.default.contents(atPath: path), let text = String(data: data, encoding: .utf8) else {
      throw ConfigurationError(file: file, keyPath: "remarks", "there is no text file \(path)")
    }
    return text
  }
}
