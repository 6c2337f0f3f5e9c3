import ArgumentParser
import Configuration
import Store
import Workbench

struct CollectGarbage: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "gc",
    abstract: "Remove objects that no run and no cache entry refers to.",
    discussion: "Whatever is younger than the grace is kept, so that a run that is just writing loses nothing.")

  @Flag(help: "Only say what would be removed.")
  var dryRun = false

  @Option(help: ArgumentHelp("Keep what is younger than so many hours.", valueName: "hours"))
  var grace = Store.defaultGrace / 3600

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard grace >= 0, grace.isFinite else {
      throw ValidationError("--grace takes a number of hours of at least 0, found \(grace)")
    }
  }

  func run() throws {
    let line = ProgressLine()
    let report = try store.open().collectGarbage(grace: grace * 3600, dryRun: dryRun) { line.update("gc", $0, of: $1) }
    line.finish()
    let verb = dryRun ? "would remove" : "removed"
    output.print(
      [
        "dry_run": .bool(dryRun), "removed": .array(report.objects.map { .string($0.hex) }),
        "bytes": .integer(report.bytes), "temporary_files": .array(report.temporaryFiles.map(JSON.string)),
        "kept": .integer(report.kept), "too_young": .integer(report.tooYoung),
      ],
      else: {
        "\(verb) \(report.objects.count) objects (\(ByteCount(report.bytes))) and \(report.temporaryFiles.count)"
          + " temporary files; kept \(report.kept) objects, and \(report.tooYoung) for being young"
      })
  }
}
