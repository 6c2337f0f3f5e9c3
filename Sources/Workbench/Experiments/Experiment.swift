public import Configuration

/// An experiment: a technique, metrics to judge it by, seeds, and the values of settings to try.
///
/// An experiment is read in two steps. Making one reads the file, applies what the command line overrides, and refuses
/// whatever is wrong in itself, in every point of its grid. `points(on:…)` then asks what only the base model knows
/// (its concepts, its own sampler settings) and what only this machine knows, and yields what can be run.
public struct Experiment: Sendable {
  /// The file's name without its folder and extension.
  public let name: String
  /// The file as it was given, for errors.
  public let file: String
  /// The folder that the file's relative paths start from.
  public let folder: String
  /// The settings that vary, in the order in which the grid runs through them: the last one fastest.
  public let axes: [Assignment]
  /// The seeds that every point of the grid is run with.
  public let seeds: [Int]

  private let drafts: [Draft]

  /// Reads an experiment file.
  public init(
    reading path: String, overrides: Overrides = Overrides(), catalogue: Catalogue = .standard
  ) throws {
    try self.init(JSON.read(path), file: path, overrides: overrides, catalogue: catalogue)
  }

  /// Makes an experiment of a document that has been read already, such as the resolved one of a run record.
  ///
  /// - Parameters:
  ///   - document: the JSON of an experiment file.
  ///   - file: the path that gives the experiment its name and that relative paths start from.
  public init(
    _ document: JSON, file: String, overrides: Overrides = Overrides(), catalogue: Catalogue = .standard
  ) throws(ConfigurationError) {
    do throws(ConfigurationError) {
      let location = FilePlace(file)
      let fixed = ExperimentDocument(
        try overrides.applied(to: document, file: file, catalogue: catalogue), file: file)
      let (edited, axes, constants) = try fixed.assigning(overrides.assignments)

      var seeds = overrides.seeds
      if let given = seeds {
        if given.isEmpty { throw ConfigurationError(keyPath: "seeds", "expected at least one seed") }
        if let twice = firstRepeated(given) {
          throw ConfigurationError(keyPath: "seeds", "the seed \(twice) appears twice")
        }
        seeds = try ExperimentSettings.parse(edited.setting("seeds", to: .array(given.map(JSON.integer)))).seeds
      }
      let settings = try ExperimentSettings.parse(edited)
      if constants["seed"] != nil, seeds ?? settings.seeds != nil {
        throw ConfigurationError(
          keyPath: "seed", "\"seeds\" says which seeds to run with and goes before it; --seeds 8 replaces these")
      }

      name = location.name
      self.file = file
      folder = location.folder
      self.axes = axes
      self.seeds = seeds ?? settings.seeds ?? [settings.seed]
      drafts = try Self.grid(axes).map { point throws(ConfigurationError) in
        var document = edited
        for (keyPath, value) in point { document = try document.setting(keyPath, to: value) }
        // An assignment may have written `metric`, too.
        let one = ExperimentDocument(document, file: file)
        return try Draft(
          overrides.placed(in: one.json, catalogue),
          set: constants.merging(point.map { ($0.keyPath, $0.value) }) { _, swept in swept },
          metricsAreOne: fixed.metricsAreOne || one.metricsAreOne, file: file, catalogue: catalogue)
      }
    } catch {
      throw error.inside(file: file, keyPath: "")
    }
  }

  /// The base models that the points name, each once, in the order of the points.
  public var baseModels: [String] {
    var models: [String] = []
    for draft in drafts where !models.contains(draft.settings.baseModel) { models.append(draft.settings.baseModel) }
    return models
  }

  /// The names of techniques and metrics that the source documents know and that are not built yet, each once.
  public var notBuilt: [String] {
    var names: [String] = []
    for component in drafts.flatMap(\.components) where component.configuration == nil {
      let name = "the \(component.kind) \"\(component.name)\""
      if !names.contains(name) { names.append(name) }
    }
    return names
  }

  /// Every point of the grid with every seed, resolved to the last default.
  ///
  /// Throws `ConfigurationError` for a technique or metric that is not built yet, a concept that the base model does
  /// not declare, a device that this machine does not have, and a setting that nobody has a value for.
  ///
  /// - Parameters:
  ///   - devices: what this machine can compute on.
  ///   - declaration: what a base model, named as the experiment names it, says about itself.
  public func points(
    devices: [Device] = [.cpu], on declaration: (String) throws -> BaseDeclaration
  ) throws -> [ExperimentPoint] {
    let missing = notBuilt
    if !missing.isEmpty {
      throw ConfigurationError(
        file: file,
        "\(missing.joined(separator: ", ")) \(missing.count == 1 ? "is" : "are") not built yet, so this cannot run")
    }
    var declarations: [String: BaseDeclaration] = [:]
    for model in baseModels {
      do { declarations[model] = try declaration(model) } catch let error as Locations.NotFound {
        throw ConfigurationError(file: file, keyPath: "base_model", error.description)
      }
    }
    let points = try drafts.flatMap { draft in
      let base = declarations[draft.settings.baseModel] ?? BaseDeclaration()
      return try seeds.map { seed in
        try ExperimentPoint(draft, seed: seed, base: base, devices: devices, experiment: self)
      }
    }
    try refuseSharedFiles(points)
    return points
  }

  /// Several points that write one file would leave in it what the last one wrote alone.
  private func refuseSharedFiles(_ points: [ExperimentPoint]) throws(ConfigurationError) {
    let files = points.flatMap { ([$0.technique] + $0.attacks + $0.metrics).flatMap(\.writtenFiles) }
    guard let twice = firstRepeated(files.map(\.path)) else { return }
    let writers = files.filter { $0.path == twice }
    let keyPaths = Set(writers.map(\.keyPath)).sorted()
    throw ConfigurationError(
      file: file, keyPath: keyPaths[0],
      keyPaths.count > 1
        ? "\(keyPaths[1]) would write \(twice) too; each needs a file of its own"
        : "\(writers.count) points of this experiment would all write \(twice); run them one by one")
  }

  /// All combinations of the axes' values, the last axis fastest.
  private static func grid(_ axes: [Assignment]) -> [[(keyPath: String, value: JSON)]] {
    axes.reduce([[]]) { points, axis in
      points.flatMap { point in axis.values.map { point + [(axis.keyPath, $0)] } }
    }
  }
}

/// One point of the grid before base model, machine and seed are known.
struct Draft: Sendable {
  let settings: ExperimentSettings
  let technique: Component
  let attacks: [Component]
  let metrics: [Component]
  let set: [String: JSON]

  var components: [Component] { [technique] + attacks + metrics }

  init(
    _ document: JSON, set: [String: JSON], metricsAreOne: Bool, file: String, catalogue: Catalogue
  ) throws(ConfigurationError) {
    let settings = try ExperimentSettings.parse(document, file: file)
    self.settings = settings
    self.set = set
    technique = try Component(
      .technique, parsing: settings.technique, keyPath: "technique", file: file, catalogue: catalogue)
    try technique.refuseRepeatedConcepts(file: file)
    func components(
      _ kind: ComponentKind, _ references: [[String: JSON]]?, keyPath: (String) -> String
    ) throws(ConfigurationError) -> [Component] {
      try (references ?? []).enumerated().map { position, reference throws(ConfigurationError) in
        try Component(
          kind, parsing: reference, keyPath: keyPath(reference["name"]?.string ?? String(position)), file: file,
          catalogue: catalogue)
      }
    }
    attacks = try components(.attack, settings.attacks) { "attacks.\($0)" }
    if let twice = firstRepeated(attacks.map(\.name)) {
      throw ConfigurationError(file: file, keyPath: "attacks", "the attack \"\(twice)\" appears twice")
    }
    metrics = try components(.metric, settings.metrics) { metricsAreOne ? "metric" : "metrics.\($0)" }
    if let twice = firstRepeated(metrics.map(\.label)) {
      throw ConfigurationError(
        file: file, keyPath: "metrics",
        "the metric \"\(twice)\" appears twice; a metric may do so under attacks that differ")
    }
  }
}
