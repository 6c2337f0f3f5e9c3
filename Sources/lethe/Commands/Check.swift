import ArgumentParser
import Configuration
import Store
import Workbench

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Hold a technique's approximation against what it stands for.", subcommands: [CheckCAD.self])
}

struct CheckCAD: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    commandName: "cad",
    abstract: "Compare what CAD's attribution predicts with what random small ablations do.",
    discussion: """
      The self-check of figure 2 of the publication: random weights of the experiment's modules are set to zero, and \
      the change of the objective is held against the sum of their attributions. Prints Pearson's correlation; the \
      publication shows points near the diagonal.

        lethe check cad experiments/techniques/cad_erase.json --trials 200
        lethe check cad experiments/techniques/cad_erase.json --json | jq .correlation
      """)

  @OptionGroup var experiment: ExperimentOptions

  @Option(help: ArgumentHelp("Ablations.", valueName: "n"))
  var trials = 1000

  @Option(
    help: ArgumentHelp(
      "The share of the modules' weights that one of them sets to zero, one weight at least.", valueName: "share"))
  var share = 1e-4

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if !(2...100_000).contains(trials) {
      throw ValidationError("--trials takes a number from 2 to 100000, found \(trials)")
    }
    if !(share > 0 && share < 1) { throw ValidationError("--share takes a number between 0 and 1, found \(share)") }
  }

  func run() throws {
    let runner = store.runner(try store.open(create: true))
    let points = try experiment.experiments().flatMap { try runner.points(of: $0) }
    guard let point = points.first, points.count == 1 else {
      throw ValidationError("a check takes one point, and these experiments have \(points.count)")
    }
    try runner.fit([point], into: memory.budget)
    Interruption.listen()
    let report = try runner.checkAttribution(of: point, trials: trials, share: share, monitor: RunProgress().monitor)
    output.print(
      [
        "correlation": .number(report.correlation), "weights": .integer(report.weights),
        "share": .number(report.share), "predicted": .array(report.predicted.map(JSON.number)),
        "actual": .array(report.actual.map(JSON.number)),
      ],
      else: {
        "correlation of predicted and actual change over \(report.predicted.count) ablations of \(report.weights)"
          + " weights, \(RunText.number(100 * report.share)) % of them: \(RunText.number(report.correlation))"
      })
  }
}
