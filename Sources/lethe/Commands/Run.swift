import ArgumentParser
import Configuration
import Store
import Workbench

struct Run: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run experiments; what was computed before comes from the cache.",
    discussion: """
      Every point of a sweep with every seed is a run, and every run leaves a record, also one that fails. A run that \
      was killed goes on where it stopped when the same command is given again.

        lethe run experiments/ssd.json
        lethe run experiments/ssd.json --set technique.config.alpha=1,5 --seeds 0,1
        lethe run experiments/ssd.json --set metrics.fid.config.limit=1000 --json
        lethe run experiments/ssd.json --base-model ./sd14 --memory 16GiB
        lethe run theirs.json --base-model shapes --overlay mine.json --device cpu

      A run that cannot fit into the memory of this machine, or into that of --memory, is refused before anything is \
      computed, with what it would need.

      Ends with status 1 if a run failed, with 130 after Ctrl-C and with 143 after kill.
      """)

  @OptionGroup var experiment: ExperimentOptions

  @Flag(
    name: .customLong("no-cache"),
    help: "Compute everything again. Nothing is overwritten: where other bytes come out, both are kept and it is said.")
  var noCache = false

  @Option(help: ArgumentHelp("Images drawn at a time; changes speed and memory, and no result.", valueName: "n"))
  var batchSize = 16

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if batchSize < 1 { throw ValidationError("--batch-size takes a number of at least 1, found \(batchSize)") }
  }

  func run() throws {
    let experiments = try experiment.experiments()
    let runner = store.runner(
      try store.open(create: true), Runner.Options(readsCache: !noCache, batchSize: batchSize))
    // All of them before the first one starts: a mistake in the last file is seen now and not after hours.
    let points = try experiments.flatMap { try runner.points(of: $0) }
    try runner.fit(points, into: memory.budget)
    try runner.check(points)
    Interruption.listen()
    let outcomes = try runner.run(points, monitor: RunProgress().monitor)
    output.print(
      ["runs": .array(outcomes.map(\.json))], else: { RunText.summaries(outcomes, of: points.count) })
    for outcome in outcomes {
      guard let error = outcome.record.error else { continue }
      Console.note("lethe: \(Style.red("error:")) run \(outcome.run.short) failed: \(error)")
    }
    if Interruption.wasAsked || outcomes.contains(where: { $0.record.status == .interrupted }) {
      throw Exit.resumable()
    }
    if outcomes.contains(where: { $0.record.status == .failed }) { throw ExitCode.failure }
  }
}
