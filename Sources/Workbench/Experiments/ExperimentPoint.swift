public import Configuration
internal import Diffusion
public import Store

/// One experiment to run: a point of the grid with one seed, every setting decided.
public struct ExperimentPoint: Sendable {
  /// The name of the experiment it belongs to.
  public let experiment: String
  /// The experiment's file, for errors and records.
  public let file: String
  /// The folder that relative paths start from.
  public let folder: String
  public let technique: Component
  public let attacks: [Component]
  public let metrics: [Component]
  /// The base model as the experiment names it: a name, or a path with a slash in it.
  public let baseModel: String
  public let seed: Int
  /// The seed of the edit, where it is not that of everything else.
  public let editSeed: Int?
  public let outputDir: String
  public let tags: [String]
  /// What sets this point apart from the file and from the other points, by key path.
  public let set: [String: JSON]
  /// What the writer should know although nothing is refused.
  public let warnings: [String]

  private let identity: String

  init(
    _ draft: Draft, seed: Int, base: BaseDeclaration, devices: [Device], experiment: Experiment
  ) throws(ConfigurationError) {
    let technique = try draft.technique.filled(from: base, technique: nil, file: experiment.file)
    let attacks = try draft.attacks.map { attack throws(ConfigurationError) in
      try attack.filled(from: base, technique: technique, file: experiment.file)
    }
    let metrics = try draft.metrics.map { metric throws(ConfigurationError) in
      try metric.filled(from: base, technique: technique, file: experiment.file)
    }
    self.experiment = experiment.name
    file = experiment.file
    folder = experiment.folder
    self.technique = technique
    self.attacks = attacks
    self.metrics = metrics
    baseModel = draft.settings.baseModel
    identity = base.identity ?? draft.settings.baseModel
    self.seed = seed
    editSeed = draft.settings.editSeed
    outputDir = draft.settings.outputDir
    tags = draft.settings.tags
    set = draft.set

    var warnings: [String] = []
    for component in [technique] + attacks + metrics {
      let place = component.keyPath + ".config."
      for naming in component.strings(.concept) where !base.concepts.isEmpty {
        for concept in naming.values where !base.concepts.contains(concept) {
          throw ConfigurationError(
            file: file, keyPath: place + naming.key,
            "the base model \"\(baseModel)\" declares no concept \"\(concept)\""
              + suggestion(for: concept, among: base.concepts) + naming.remedy)
        }
      }
      for naming in component.strings(.phrase) {
        if let word = base.unknownWords(in: naming.values.filter { $0 != "*" }).first {
          throw ConfigurationError(
            file: file, keyPath: place + naming.key,
            "the base model \"\(baseModel)\" never saw the word \"\(word)\" in training"
              + suggestion(for: word, among: base.vocabulary) + naming.remedy)
        }
      }
      for naming in component.strings(.device) {
        for name in naming.values where !devices.map(\.rawValue).contains(name) {
          throw ConfigurationError(
            file: file, keyPath: place + naming.key,
            "this machine cannot serve \"\(name)\"; --device cpu overrides it")
        }
      }
      warnings += component.configuration?.warnings.map { "\(component.name): \($0)" } ?? []
      for naming in component.strings(.prompt) {
        let words = base.unknownWords(in: naming.values).map { "\"\($0)\"" }
        if !words.isEmpty {
          warnings.append(
            "\(component.name): \(naming.key) holds words that \"\(baseModel)\" never saw in training: "
              + words.joined(separator: ", "))
        }
      }
    }
    // Each prompt once: several settings may hold the same.
    var seen: Set<String> = []
    let prompts = ([technique] + attacks + metrics).flatMap { $0.strings(.prompt) }.flatMap(\.values)
    if let warning = base.tokenizer?.truncationWarning(prompts.filter { seen.insert($0).inserted }) {
      warnings.append(warning)
    }
    self.warnings = warnings
  }

  /// The experiment in full: every default filled in, metrics as a list. It reads back as an experiment of one point.
  public var json: JSON {
    var members: [String: JSON] = [
      "base_model": .string(baseModel),
      "metrics": .array(metrics.map(\.json)),
      "output_dir": .string(outputDir),
      "seed": .integer(seed),
      "tags": .array(tags.map(JSON.string)),
      "technique": technique.json,
    ]
    if !attacks.isEmpty { members["attacks"] = .array(attacks.map(\.json)) }
    members["edit_seed"] = editSeed.map(JSON.integer)
    return .object(members)
  }

  /// The digest of the question. Equal hashes are the same experiment asked again.
  public var configHash: Digest { Digest(hashing: question(withSeed: true).canonical()) }

  /// The digest of the question without its seed, by which reports group runs.
  public var configHashWithoutSeed: Digest { Digest(hashing: question(withSeed: false).canonical()) }

  /// The question that is asked: the experiment without settings that cannot change a result, and metrics in the order
  /// of their names.
  private func question(withSeed: Bool) -> JSON {
    var members: [String: JSON] = [
      "base_model": .string(identity),
      "metrics": .array(metrics.sorted { $0.label < $1.label }.map(\.jsonAffectingResult)),
      "technique": technique.jsonAffectingResult,
    ]
    if !attacks.isEmpty {
      members["attacks"] = .array(attacks.sorted { $0.name < $1.name }.map(\.jsonAffectingResult))
    }
    members["edit_seed"] = editSeed.map(JSON.integer)
    if withSeed { members["seed"] = .integer(seed) }
    return .object(members)
  }

  /// A path that the experiment names, as seen from where Lethe runs.
  public func resolve(_ path: String) -> String {
    path.hasPrefix("/") || folder == "." ? path : folder.hasSuffix("/") ? folder + path : folder + "/" + path
  }
}

extension Component.Naming {
  /// The end of a refusal of what nobody has written.
  fileprivate var remedy: String {
    unwritten.map { "; this is its default, so \"\($0)\" has to be written" } ?? ""
  }
}
