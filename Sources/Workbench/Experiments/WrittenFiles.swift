internal import Configuration

extension Component {
  /// The files that a run writes because a setting names them, with the settings' key paths in the experiment: edits
  /// that are saved, adversarial prompts that are written out.
  var writtenFiles: [(keyPath: String, path: String)] {
    guard let configuration else { return [] }
    return type(of: configuration).table.filter(\.isWrittenFile).compactMap { row in
      config[row.key]?.string.map { ("\(keyPath).config.\(row.key)", $0) }
    }
  }
}

extension ExperimentPoint {
  /// Refuses files that settings name and that could not be written when the work is done. Folders that are missing
  /// are made then.
  func checkWrittenFiles() throws(ConfigurationError) {
    for (keyPath, path) in ([technique] + attacks + metrics).flatMap(\.writtenFiles) {
      do throws(FileError) { try WholeFile.confirmWritable(resolve(path), makesFolders: true) } catch {
        throw ConfigurationError(file: file, keyPath: keyPath, error.description)
      }
    }
  }
}

extension FieldDescription {
  /// Whether the setting names a file that a run writes. What is written changes no result; what is read does.
  var isWrittenFile: Bool { role == .path && !affectsResult }
}

extension Catalogue {
  /// An experiment that writes no files, for what runs again to leave those of the first time alone.
  func withoutWrittenFiles(_ document: JSON) throws(ConfigurationError) -> JSON {
    var document = document
    for (place, kind) in Overrides.componentPlaces(in: document) {
      let name = document.value(at: place + ".name")?.string ?? ""
      for row in entries(kind)[name]?.table ?? [] where row.isWrittenFile {
        let keyPath = "\(place).config.\(row.key)"
        if document.value(at: keyPath)?.isNull == false { document = try document.setting(keyPath, to: .null) }
      }
    }
    return document
  }
}
