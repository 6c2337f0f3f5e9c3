import ArgumentParser
import Configuration
import Store
import Workbench

struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what differs between runs: first in their settings, then in their metrics.",
    discussion: """
      A config hash stands for its latest finished run. The first run is what the others are held against; for shares \
      the difference is also given in standard errors, and below two of them it may well be chance.

        lethe compare 3f2a 91bc
        lethe compare $(lethe ls --tag quickstart --json | jq -r '.[].run_id')
      """)

  @Argument(help: "Two or more run ids or config hashes, or the beginnings of them.")
  var hashes: [String]

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if hashes.count < 2 { throw ValidationError("compare takes two runs or more, found \(hashes.count)") }
  }

  func run() throws {
    let store = try store.open()
    let runs = try hashes.map { hash in
      let id = try store.run(named: hash)
      return (id: id, record: try store.run(id))
    }
    let comparison = RunComparison(runs)
    output.print(
      ComparisonText.json(comparison), else: { ComparisonText.text(comparison, runs.map(\.record)) })
  }
}
