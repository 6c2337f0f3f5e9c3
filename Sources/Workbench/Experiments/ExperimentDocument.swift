internal import Configuration
internal import FoundationEssentials

/// The JSON of an experiment with one spelling for its metrics: always a list, so that `metrics.fid.config.limit`
/// leads to the metric whether the file says `metric` or `metrics`.
struct ExperimentDocument {
  let json: JSON
  let file: String
  /// Whether the file says `metric`, which errors then say too.
  let metricsAreOne: Bool

  init(_ json: JSON, file: String) {
    self.file = file
    if var members = json.object, let metric = members["metric"], metric.object != nil,
      members["metrics"] ?? .null == .null
    {
      members["metrics"] = .array([metric])
      members["metric"] = nil
      self.json = .object(members)
      metricsAreOne = true
    } else {
      self.json = json
      metricsAreOne = false
    }
  }

  /// Applies assignments: one value replaces what the file says, several become an axis of the grid, and either takes
  /// the place of what the file sweeps under the same key path.
  ///
  /// - Returns: the document without `sweep`, the axes that are left, and the single values by key path.
  func assigning(
    _ assignments: [Assignment]
  ) throws(ConfigurationError) -> (document: JSON, axes: [Assignment], constants: [String: JSON]) {
    let settings = try ExperimentSettings.parse(json, file: file)
    var axes = try settings.sweep.sorted { $0.key < $1.key }.map { axis throws(ConfigurationError) in
      Assignment(try settable(axis.key, spanning: true), axis.value.array ?? [])
    }
    var document = json
    if var members = document.object {
      members["sweep"] = nil
      document = .object(members)
    }

    var constants: [String: JSON] = [:]
    var assigned: [String] = []
    for assignment in assignments {
      let keyPath = try settable(assignment.keyPath, spanning: assignment.values.count > 1)
      if assigned.contains(keyPath) { throw ConfigurationError(keyPath: keyPath, "--set gives it twice") }
      assigned.append(keyPath)
      axes.removeAll { $0.keyPath == keyPath || $0.keyPath.hasPrefix(keyPath + ".") }
      if assignment.values.count == 1, let value = assignment.values.first {
        document = try document.setting(keyPath, to: value)
        constants[keyPath] = value
      } else {
        axes.append(Assignment(keyPath, assignment.values))
      }
    }
    if let twice = firstRepeated(axes.map(\.keyPath)) {
      throw ConfigurationError(keyPath: "sweep", "\"\(twice)\" is swept twice")
    }
    for axis in axes {
      if let twice = firstRepeated(axis.values) {
        throw ConfigurationError(keyPath: axis.keyPath, "the value \(twice.canonical()) is to be tried twice")
      }
    }
    return (document, axes, constants)
  }

  /// The key path in the one spelling, if a value may be set there.
  private func settable(_ keyPath: String, spanning: Bool) throws(ConfigurationError) -> String {
    var components = keyPath.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    switch components.first {
    case "sweep":
      throw ConfigurationError(
        keyPath: keyPath, "a swept value is set by its own key path, such as technique.config.alpha")
    case "seed" where spanning, "seeds" where spanning:
      throw ConfigurationError(
        keyPath: keyPath,
        "seeds are no part of a grid; write them as a list, \"seeds\": [0, 1, 2], or with --seeds 0,1,2")
    case "metric" where components.count > 1:
      let names = (json["metrics"]?.array ?? []).compactMap { $0["name"]?.string }
      guard let name = names.first, names.count == 1 else {
        throw ConfigurationError(
          keyPath: keyPath,
          "this experiment has several metrics; name one, as in metrics.\(names.first ?? "fid").config.limit")
      }
      components.replaceSubrange(0..<1, with: ["metrics", name])
    case "metrics" where components.count > 1:
      let names = (json["metrics"]?.array ?? []).map { $0["name"]?.string }
      let places = names.indices.filter { names[$0] == components[1] }
      if places.count > 1 {
        throw ConfigurationError(
          keyPath: keyPath,
          "this experiment has \(places.count) metrics \"\(components[1])\"; give the place of the one that is meant, "
            + "\(places.map { "metrics.\($0)" }.joined(separator: " or "))")
      }
    default: break
    }
    return components.joined(separator: ".")
  }
}

extension Overrides {
  /// The document with the overlays of the command line in it.
  func applied(to document: JSON, file: String, catalogue: Catalogue) throws(ConfigurationError) -> JSON {
    guard document.object != nil else {
      throw ConfigurationError("expected an object with technique and metrics, found \(document.kind)")
    }
    var document = document
    for overlay in overlays {
      guard overlay.patch.object != nil else {
        throw ConfigurationError(file: overlay.file, "expected an object to merge, found \(overlay.patch.kind)")
      }
      document = document.merging(
        try Self.rebasingPaths(of: overlay.patch, from: overlay.file, onto: document, file: file, catalogue))
    }
    return document
  }

  /// A point's document with the base model and the device of the command line in it, which go before whatever else
  /// says one.
  func placed(in document: JSON, _ catalogue: Catalogue) throws(ConfigurationError) -> JSON {
    var document = document
    if let baseModel {
      document = try document.setting("base_model", to: .string(Locations.absoluteModel(baseModel)))
    }
    if let device {
      let name = JSON.string(device.rawValue)
      for (keyPath, kind) in Self.componentPlaces(in: document) {
        guard let reference = document.value(at: keyPath), reference.object != nil,
          Component.takesDevice(kind, reference, catalogue)
        else { continue }
        document = try document.setting(keyPath + ".config.device", to: name)
      }
    }
    return document
  }

  /// An overlay with its relative paths made absolute, because they start from its own folder and not from that of the
  /// file it is laid over.
  private static func rebasingPaths(
    of patch: JSON, from overlay: String, onto document: JSON, file: String, _ catalogue: Catalogue
  ) throws(ConfigurationError) -> JSON {
    let folder = FilePlace(overlay).folder
    guard folder != FilePlace(file).folder else { return patch }
    let start = folder.hasPrefix("/") ? folder : FileManager.default.currentDirectoryPath + "/" + folder
    let merged = document.merging(patch)
    let settings = componentPlaces(in: merged).flatMap { place, kind in
      let name = merged.value(at: place + ".name")?.string ?? ""
      let rows = catalogue.entries(kind)[name]?.table ?? []
      return rows.filter { $0.role == .path }.map { "\(place).config.\($0.key)" }
    }
    let places = ["base_model", "output_dir"] + settings
    var rebased = patch
    for keyPath in places {
      guard let path = patch.value(at: keyPath)?.string, !path.hasPrefix("/") else { continue }
      // A base model without a slash is a name.
      guard keyPath != "base_model" || path.contains("/") else { continue }
      rebased = try rebased.setting(keyPath, to: .string(start + "/" + path))
    }
    return rebased
  }

  /// Where techniques, attacks and metrics stand in an experiment.
  static func componentPlaces(in document: JSON) -> [(keyPath: String, kind: ComponentKind)] {
    func several(_ key: String, _ kind: ComponentKind) -> [(keyPath: String, kind: ComponentKind)] {
      (document[key]?.array ?? []).indices.map { ("\(key).\($0)", kind) }
    }
    return [("technique", .technique), ("metric", .metric)] + several("attacks", .attack) + several("metrics", .metric)
  }
}
