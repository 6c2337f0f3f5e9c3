import ArgumentParser
import Configuration
import Tensors

/// The command line: it parses, calls and prints. What a command means is decided in Workbench and Reports.
@main
struct Lethe: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lethe",
    abstract: "A workbench for concept erasure in text-to-image diffusion models.",
    discussion: """
      An experiment is a small JSON file: a technique, a concept, the metrics to judge it by. Lethe runs it, records \
      all that could have changed the result, computes nothing twice, and can run any past result again and prove that \
      it comes out the same.

        lethe run experiments/base.json experiments/ssd.json
        lethe report experiments/tables/quickstart.json
        lethe compare 3f2a 91bc
        lethe reproduce 3f2a
        lethe generate "a red striped circle" --seed 7 --out circle.png

      Every command explains itself, with examples: lethe help run.
      """,
    version: "0.1.0",
    groupedSubcommands: [
      CommandGroup(
        name: "Experiments",
        subcommands: [Run.self, PlanCommand.self, Describe.self, Techniques.self, Attacks.self, Check.self]),
      CommandGroup(
        name: "Results",
        subcommands: [List.self, Show.self, Compare.self, ReportCommand.self, Transfer.self, Reproduce.self]),
      CommandGroup(
        name: "Models",
        subcommands: [
          Models.self, Generate.self, Purify.self, Export.self, Train.self, Bench.self, Forward.self,
        ]),
      CommandGroup(name: "The store", subcommands: [Verify.self, CollectGarbage.self, Reindex.self]),
    ])

  static func main() {
    var command: any ParsableCommand
    do {
      try refuseUnknownCommand()
      command = try parseAsRoot()
    } catch {
      Exit.explain(error, in: self)
    }
    do {
      if command is any ComputingCommand { BLAS.restartWithBestCore(CommandLine.arguments) }
      try command.run()
    } catch {
      Exit.explain(error, in: self)
    }
  }

  /// The parser calls a mistyped command an unexpected argument and knows no better one.
  private static func refuseUnknownCommand() throws {
    guard let word = CommandLine.arguments.dropFirst().first, !word.hasPrefix("-"), word != "help" else { return }
    let names = configuration.groupedSubcommands.flatMap(\.subcommands).map {
      $0.configuration.commandName ?? "\($0)".lowercased()
    }
    guard !names.contains(word) else { return }
    throw ValidationError("there is no command \"\(word)\"" + suggestion(for: word, among: names))
  }
}

/// A command that computes with tensors, and so has the kernels chosen that suit the processor before it starts.
protocol ComputingCommand {}
