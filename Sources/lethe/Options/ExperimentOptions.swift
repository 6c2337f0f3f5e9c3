import ArgumentParser
import Configuration
import Workbench

/// Experiment files and what the command line says differently.
struct ExperimentOptions: ParsableArguments {
  @Argument(help: ArgumentHelp("Experiment files.", valueName: "file"))
  var files: [String]

  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp(
      "Set a value by its key path; several values, separated by commas, span a grid. Each is JSON or a bare word.",
      valueName: "keypath=value[,...]"))
  var assignments: [String] = []

  @Option(
    help: ArgumentHelp("Seeds to run with, instead of the file's.", valueName: "n,n"), transform: Parsing.numbers)
  var seeds: [Int]?

  @Option(
    help: ArgumentHelp("The model to erase from: a name, or a path with a slash in it.", valueName: "name|path"))
  var baseModel: String?

  @Option(
    help: ArgumentHelp("The device to compute on; only cpu so far.", valueName: "device"),
    transform: { try Parsing.choice($0, Device.self) })
  var device: Device?

  @Option(
    help: ArgumentHelp(
      "A JSON merge patch that is laid over every file; of several each over what those before it made.",
      valueName: "file"))
  var overlay: [String] = []

  /// The experiments, each read and checked as far as it can be without its base model.
  func experiments() throws -> [Experiment] {
    let overrides = Overrides(
      overlays: try overlay.map { (patch: try JSON.read($0), file: $0) }, baseModel: baseModel, device: device,
      seeds: seeds, assignments: try assignments.map { try Assignment(parsing: $0) })
    return try files.map { try Experiment(reading: $0, overrides: overrides) }
  }
}
