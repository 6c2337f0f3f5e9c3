import ArgumentParser
import Configuration
import Store
import Workbench

struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show everything that is known about a run, a config, a stage or an object.",
    discussion: """
      A hash may be abbreviated to four digits or more, as long as one thing alone begins so.

        lethe show 3f2a            settings, stages, metrics, outputs, git, machine
        lethe show 3f2a --patch    the patch of changes that were not committed
        lethe show 9c01 --content  the bytes of an output: adversarial prompts as a CSV file, for example
      """)

  @Argument(help: "A run id, config hash, cache key or object digest, or the beginning of one.")
  var hash: String

  @Flag(help: "Print the patch of uncommitted changes that was recorded with the run, and nothing else.")
  var patch = false

  @Flag(help: "Print the bytes of an object, and nothing else.")
  var content = false

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if patch, content { throw ValidationError("--patch and --content each print alone; give one of them") }
  }

  func run() throws {
    let store = try store.open()
    let name = try store.resolve(hash)
    if patch { return try printPatch(of: name, in: store) }
    if content { return try printContent(of: name, in: store) }
    switch name {
    case .run(let run): try show(run, in: store)
    case .config(let config):
      let runs = try store.index().facts(RunFilter(configHash: config))
      if runs.count == 1, let run = runs.first { return try show(run.run.runID, in: store) }
      try output.print(
        .array(runs.map { try store.run($0.run.runID).summary(of: $0.run.runID) }), else: { text(config, runs) })
    case .stage(let key):
      let runs = try store.index().runs(withStage: key)
      guard let entry = try store.cache.entry(key) else {
        throw StoreError(.unknownName, "the store \(store.folder) has no cache entry \(key)")
      }
      output.print(StageText.json(entry, runs), else: { StageText.text(entry, runs) })
    case .object(let digest):
      let runs = try store.index().runs(withOutput: digest)
      let bytes = store.objects.size(of: digest) ?? 0
      output.print(StageText.json(digest, bytes, runs), else: { StageText.text(digest, bytes, store, runs) })
    }
  }

  private func printPatch(of name: StoreName, in store: Store) throws {
    guard case .run(let run) = name else {
      throw StoreError(.unknownName, "--patch belongs to a run, and \(hash) is the \(name)")
    }
    guard let digest = try store.run(run).git.patch else {
      return Console.note("lethe: run \(run.short) was recorded without uncommitted changes")
    }
    try Console.print(bytes: store.objects.read(digest))
  }

  private func printContent(of name: StoreName, in store: Store) throws {
    guard case .object(let digest) = name else {
      throw StoreError(.unknownName, "--content belongs to an object, and \(hash) is the \(name)")
    }
    try Console.print(bytes: store.objects.read(digest))
  }

  private func show(_ run: Digest, in store: Store) throws {
    let record = try store.run(run)
    output.print(
      ["run_id": .string(run.hex), "record": record.json], else: { RecordText.text(record, run: run) })
  }

  private func text(_ config: Digest, _ runs: [RunFacts]) -> String {
    var columns = Columns(["run", "started (UTC)", "status", "metrics"])
    for facts in runs {
      columns.add(
        facts.run.runID.short, RunText.time(facts.run.started), facts.run.status,
        facts.metrics.map { "\($0.name) \(RunText.number($0.value))" }.joined(separator: ", "))
    }
    return "\(Style.bold("config \(config.short)")), asked \(runs.count) times\n\n" + columns.text()
  }
}
