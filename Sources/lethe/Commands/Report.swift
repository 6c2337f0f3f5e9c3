import ArgumentParser
import Configuration
import Reports
import Store
import Workbench

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Make tables, a plot and a grid of images from runs that are in the store.",
    discussion: """
      The specification says which runs become rows and which metrics columns; docs/reports.md describes it. Prints \
      the table and the files that were written, by default to reports/NAME beside the store.

        lethe report experiments/tables/quickstart.json
        lethe report experiments/tables/quickstart.json --json | jq .table
      """)

  @Argument(help: ArgumentHelp("The table specification.", valueName: "file"))
  var specification: String

  @Option(help: ArgumentHelp("The folder for the files, instead of the specification's.", valueName: "dir"))
  var out: String?

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let spec = try TableSpec.parse(try JSON.read(specification), file: specification)
    let store = try store.open()
    let points = try spec.points(in: spec.folder, locations: self.store.locations)
    let runs = try StoredRuns(for: spec, points: points, in: store)
    let report = try Report(
      spec, runs: runs.runs, points: points, images: runs.images, remarks: try spec.readRemarks())
    let files = try report.write(to: out ?? spec.outputFolder(besideStore: store.folder))
    output.print(
      ["table": report.table.json, "files": .array(files.map(JSON.string))],
      else: { TerminalTable.text(report.table, styled: Style.isOn) + "\n" + files.joined(separator: "\n") })
  }
}
