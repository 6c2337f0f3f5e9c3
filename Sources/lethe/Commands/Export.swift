import ArgumentParser
import Configuration
import Store
import Workbench

struct Export: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write the edited model of a run as a diffusers folder.",
    discussion: """
      The weights are in the precision that the run drew with, so that diffusers draws the same picture from the same \
      prompt and latent; the folder serves as a base model, too. An edit that works while images are drawn (a hook, \
      guidance) is refused unless weights can draw the same, as they can for np_esd.

        lethe export 3f2a erased-star
        lethe run experiments/base.json --base-model ./erased-star
      """)

  @Argument(help: ArgumentHelp("A run id or config hash, or the beginning of one.", valueName: "run"))
  var name: String

  @Argument(help: "The folder to write: an empty one, or one that is not there yet.")
  var folder: String

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let store = try store.open()
    let run = try store.run(named: name)
    let base = try self.store.runner(store).export(run, to: folder)
    output.print(
      ["run_id": .string(run.hex), "base": .string(base.hex), "folder": .string(folder)], else: { folder })
  }
}
