import ArgumentParser
import Configuration
import Workbench

/// How much memory a command may take.
struct MemoryOptions: ParsableArguments {
  @Option(
    name: .customLong("memory"),
    help: ArgumentHelp(
      "The most memory to take, such as 8GiB or 500MB (default: what this machine has). Gradient checkpoints, and how "
        + "much is computed at a time, are chosen for it; what cannot fit is refused before any work. It changes time, "
        + "and no result.",
      valueName: "size"),
    transform: { text in
      do throws(ConfigurationError) { return try ByteCount(parsing: text) } catch {
        throw ValidationError("\(error)")
      }
    })
  var limit: ByteCount?

  var budget: MemoryBudget { limit.map { MemoryBudget($0) } ?? .machine }
}
