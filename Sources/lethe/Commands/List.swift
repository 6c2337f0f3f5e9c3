import ArgumentParser
import Configuration
import Store
import Workbench

struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls",
    abstract: "List the runs of the store, newest first.",
    discussion: """
        lethe ls --technique ssd --status finished
        lethe ls --tag quickstart --json
      """)

  @Option(help: "Only runs of this experiment (the file's name without .json).")
  var experiment: String?

  @Option(help: "Only runs of this technique.")
  var technique: String?

  @Option(help: "Only runs with this tag.")
  var tag: String?

  @Option(
    help: ArgumentHelp("Only runs that ended so: finished, failed or interrupted.", valueName: "status"),
    transform: { try Parsing.choice($0, RunRecord.Status.self) })
  var status: RunRecord.Status?

  @Option(help: ArgumentHelp("At most so many.", valueName: "n"))
  var limit: Int?

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let limit, limit < 1 { throw ValidationError("--limit takes a number of at least 1, found \(limit)") }
  }

  func run() throws {
    let filter = RunFilter(
      technique: technique, experiment: experiment, tag: tag, status: status?.rawValue, limit: limit)
    let store = try store.open()
    let runs = try store.index().facts(filter)
    try output.print(
      .array(runs.map { try store.run($0.run.runID).summary(of: $0.run.runID) }),
      else: { try runs.isEmpty ? nothing(in: store) : table(runs) })
  }

  /// Why no run is listed: a name that none has, with the nearest that one has.
  private func nothing(in store: Store) throws -> String {
    let all = try store.index().facts(RunFilter())
    let asked = [
      ("experiment", experiment, all.map(\.run.experiment)), ("technique", technique, all.map(\.run.technique)),
      ("tag", tag, all.flatMap(\.tags)),
    ]
    for case (let kind, let name?, let known) in asked where !known.contains(name) {
      return "no runs of the \(kind) \"\(name)\"" + suggestion(for: name, among: Set(known).sorted())
    }
    return "no runs"
  }

  private func table(_ runs: [RunFacts]) -> String {
    var columns = Columns(["run", "started (UTC)", "experiment", "technique", "seed", "settings", "status", "metrics"])
    for facts in runs {
      let run = facts.run
      columns.add(
        run.runID.short, RunText.time(run.started), run.experiment, run.technique, run.seed.map { "\($0)" } ?? "",
        RunText.shortSettings(RunText.settings(of: run)), run.status, run.error ?? metrics(facts))
    }
    return columns.text(wrapsLast: Console.outputIsTerminal)
  }

  /// The values that have the names of the metrics asked for, and not all that these found beside them.
  private func metrics(_ facts: RunFacts) -> String {
    let asked = facts.stages.map(\.name).filter { $0.hasPrefix("metric.") }.map { $0.dropFirst("metric.".count) }
    let named = facts.metrics.filter { asked.contains($0.name[...]) }
    return (named.isEmpty ? facts.metrics : named).map { "\($0.name) \(RunText.number($0.value))" }
      .joined(separator: ", ")
  }
}
