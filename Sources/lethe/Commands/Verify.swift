import ArgumentParser
import Configuration
import Store
import Workbench

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Hash every object of the store again and check that every reference leads somewhere.",
    discussion: "Changes nothing. Ends with status 1 where anything is damaged or missing.")

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let line = ProgressLine()
    let report = try store.open().verify { line.update("verify", $0, of: $1) }
    line.finish()
    output.print(json(report), else: { text(report) })
    if !report.isSound { throw ExitCode.failure }
  }

  private func json(_ report: VerificationReport) -> JSON {
    [
      "objects": .integer(report.objects), "bytes": .integer(report.bytes), "runs": .integer(report.runs),
      "cache_entries": .integer(report.entries), "conflicts": .integer(report.conflicts),
      "problems": .array(
        report.problems.map { ["kind": .string($0.kind.rawValue), "message": .string($0.message)] }),
    ]
  }

  private func text(_ report: VerificationReport) -> String {
    let counts =
      "\(report.objects) objects (\(ByteCount(report.bytes))), \(report.runs) runs,"
      + " \(report.entries) cache entries, \(report.conflicts) conflicts"
    guard !report.isSound else { return "\(counts): \(Style.green("sound"))" }
    let problems = report.problems.count
    return report.problems.map(\.message).joined(separator: "\n")
      + "\n\(counts): \(problems) problem\(problems == 1 ? "" : "s")"
  }
}
