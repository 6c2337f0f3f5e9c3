internal import Configuration
internal import Store
public import Workbench

extension TableSpec {
  /// The points of the experiment files that selections name, with their overlays, by ``RunSelection/source``.
  ///
  /// - Parameters:
  ///   - folder: where the names are seen from: the specification's own folder.
  ///   - locations: where base models are, whose declarations the points depend on.
  /// - Throws: `ConfigurationError` for an experiment that cannot be read, and what keeps a base model from being
  ///   found.
  public func points(in folder: String, locations: Locations) throws -> [String: [ExpectedPoint]] {
    var points: [String: [ExpectedPoint]] = [:]
    let digests = FileDigests(storeFolder: locations.store)
    defer { digests.save() }
    for selection in runs {
      guard let file = selection.file, let source = selection.source, points[source] == nil else { continue }
      let overlays = (selection.overlays ?? []).map { Self.path(of: $0, in: folder) }
      let experiment = try Experiment(
        reading: Self.path(of: file, in: folder),
        overrides: Overrides(overlays: try overlays.map { (patch: try JSON.read($0), file: $0) }))
      points[source] = try experiment.points(devices: Device.allCases) { model in
        let modelFolder = try locations.modelFolder(model, from: experiment.folder)
        return try BaseModel(name: model, folder: modelFolder, digests: digests).declaration
      }.map { point in
        let settings = point.set.sorted { $0.key < $1.key }.map { keyPath, value in
          "\(RowLabels.shortName(keyPath)) = \(plain(value))"
        }
        return ExpectedPoint(
          technique: point.technique.name, configHash: point.configHash.hex,
          groupHash: point.configHashWithoutSeed.hex, configuration: point.json,
          words: ([experiment.name] + settings + ["seed \(point.seed)"]).joined(separator: ", "))
      }
    }
    return points
  }

  /// A path as seen from a folder, shortened: `../ssd.json` in `experiments/tables` is `experiments/ssd.json`.
  public static func path(of name: String, in folder: String) -> String {
    guard !name.hasPrefix("/"), !folder.isEmpty, folder != "." else { return name }
    var parts = folder.split(separator: "/", omittingEmptySubsequences: false)[...]
    if parts.last == "" { parts = parts.dropLast() }
    for part in name.split(separator: "/") where part != "." {
      if part == "..", let last = parts.last, !last.isEmpty, last != "..", last != "." {
        parts = parts.dropLast()
      } else {
        parts.append(part)
      }
    }
    return parts.joined(separator: "/")
  }
}
