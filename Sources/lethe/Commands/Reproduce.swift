import ArgumentParser
import Configuration
import Store
import Workbench

struct Reproduce: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a past run again, without the cache, and compare every output with the recorded one.",
    discussion: """
      Each output is identical, within a tolerance that is named (where the processor, a library or the code is \
      another one), or different. Ends with status 0 only if all are identical.

        lethe reproduce 3f2a
      """)

  @Argument(help: "A run id or config hash, or the beginning of one.")
  var hash: String

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let store = try store.open()
    let run = try store.run(named: hash)
    let runner = self.store.runner(store)
    try runner.fit(reproducing: run, into: memory.budget)
    Interruption.listen()
    let reproduction = try runner.reproduce(run, monitor: RunProgress().monitor)
    output.print(reproduction.json, else: { text(reproduction) })
    if reproduction.verdict != .identical { throw ExitCode.failure }
  }

  private func text(_ reproduction: Reproduction) -> String {
    var columns = Columns()
    for output in reproduction.outputs {
      let verdict = output.verdict == .identical ? Style.green(output.verdict.rawValue) : output.verdict.rawValue
      let notes = [output.detail, output.tolerance.map { "held against: \($0)" }].compactMap(\.self)
      columns.add("  " + output.name, verdict, notes.joined(separator: "; "))
    }
    var parts = ["\(Style.bold("run \(reproduction.run.short)")): \(reproduction.verdict.rawValue)\n" + columns.text()]
    if let first = reproduction.firstDivergence { parts.append("first to differ: \(first.name)") }
    if !reproduction.conflicts.isEmpty {
      parts.append(
        "\(reproduction.conflicts.count) results came out otherwise than the cache has them; both are kept, "
          + "as conflicts")
    }
    let changes = reproduction.environment.filter(\.affectsResult)
    if !changes.isEmpty {
      parts.append("Not as it was then:\n" + changes.map { "  \($0)" }.joined(separator: "\n"))
    }
    return parts.joined(separator: "\n\n")
  }
}
