internal import Configuration

/// The top level of an experiment file. Its keys are those of the source documents, and ours besides.
struct ExperimentSettings: Configuration {
  var outputDir = "results"
  var technique: [String: JSON] = [:]
  var attacks: [[String: JSON]]?
  var metric: [String: JSON]?
  var metrics: [[String: JSON]]?
  var seed = 0
  var seeds: [Int]?
  var editSeed: Int?
  var baseModel = "shapes"
  var tags: [String] = []
  var sweep: [String: JSON] = [:]

  static let fields: [Field<ExperimentSettings>] = [
    Field(
      "output_dir", \.outputDir, .notEmpty,
      "Accepted as the documents write it, and not used: results go to the store, and tables to reports/",
      affectsResult: false, role: .path),
    Field("technique", \.technique, "The technique: its name and config"),
    Field("attacks", \.attacks, .notEmpty, "The attacks that metrics name, each its name and config"),
    Field("metric", \.metric, "The one metric: its name and config"),
    Field("metrics", \.metrics, .notEmpty, "Several metrics, each its name and config"),
    Field("seed", \.seed, Self.seedRule, "The seed of everything random"),
    Field("seeds", \.seeds, .each(Self.seedRule), "Seeds to run with, one after the other, instead of seed"),
    Field(
      "edit_seed", \.editSeed, Self.seedRule,
      "The seed of the edit alone, so that seeds vary the images and the attacks on one edit; seed if unset"),
    Field("base_model", \.baseModel, .notEmpty, "The model to erase from: a name, or a path with a slash in it"),
    Field("tags", \.tags, "Words to find the runs by", affectsResult: false),
    Field("sweep", \.sweep, "Key paths, each with a list of values to try; several span a grid"),
  ]

  /// Larger integers are not kept exactly by every reader of JSON.
  static let seedRule = Rule<Int>.between(0...1 << 53)

  func validate() throws(ConfigurationError) {
    if technique.isEmpty { throw ConfigurationError("expected a \"technique\" with its name and config, found none") }
    if metric != nil, metrics != nil {
      throw ConfigurationError(
        "expected either \"metric\" or \"metrics\", found both (an overlay removes one by setting it to null)")
    }
    if metric == nil, metrics == nil { throw ConfigurationError("expected \"metric\" or \"metrics\", found neither") }
    if let seeds, let twice = firstRepeated(seeds) {
      throw ConfigurationError(keyPath: "seeds", "the seed \(twice) appears twice")
    }
    for (keyPath, values) in sweep.sorted(by: { $0.key < $1.key }) where values.array?.isEmpty ?? true {
      throw ConfigurationError(keyPath: "sweep", "expected a list of values for \"\(keyPath)\", found \(values.kind)")
    }
  }
}

/// The first element that is equal to an earlier one.
func firstRepeated<Element: Equatable>(_ elements: [Element]) -> Element? {
  elements.indices.first { elements[..<$0].contains(elements[$0]) }.map { elements[$0] }
}
