import ArgumentParser
import Configuration
import Store
import Workbench

/// Where results are kept.
struct StoreOptions: ParsableArguments {
  @Option(
    name: .customLong("store"),
    help: ArgumentHelp(
      "The folder of the store; by default store/ of the enclosing repository, else ./lethe-store.",
      valueName: "dir"))
  var folder: String?

  var locations: Locations { Locations(store: folder) }

  /// The store, made where it is missing if `create` says so.
  func open(create: Bool = false) throws -> Store {
    try Store.open(locations.store, create: create, warn: { Console.warn($0) })
  }

  /// What runs experiments on a store, and shows a bar where it hashes large files.
  func runner(_ store: Store, _ options: Runner.Options = Runner.Options()) -> Runner {
    Runner(store: store, locations: locations, options: options, hashing: HashingProgress().update)
  }

  /// The digests of files that the store remembers, with such a bar.
  func digests() -> FileDigests { FileDigests(storeFolder: locations.store, progress: HashingProgress().update) }
}

/// The form of what is printed.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print one JSON document on standard output; progress and warnings go to standard error.")
  var json = false

  /// Prints the document if that was asked for, else what `text` says.
  func print(_ document: @autoclosure () throws -> JSON, else text: () throws -> String) rethrows {
    Console.print(json ? try document().pretty() : try text())
  }
}
