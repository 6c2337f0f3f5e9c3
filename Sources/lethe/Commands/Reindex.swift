import ArgumentParser
import Configuration
import Store
import Workbench

struct Reindex: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make the index anew from the run records.",
    discussion: "The index is a view: deleting it loses nothing, and listing runs makes it again where it is missing.")

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let store = try store.open()
    let count = try store.index().rebuild()
    output.print(
      ["store": .string(store.folder), "runs": .integer(count)],
      else: { "the index of \(store.folder) holds \(count) runs" })
  }
}
