import ArgumentParser
import Configuration
import Workbench

struct Models: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the models that can be named, and give names to model folders and files.",
    discussion: """
      A model is a folder in the layout of diffusers, or a Stable Diffusion 1 or 2 in a single file. One that has been \
      given a name is used by it wherever a command or an experiment names a model:

        lethe models add sd14 ~/models/stable-diffusion-v1-4
        lethe models
        lethe models show sd14
        lethe generate "a lighthouse at night" --model sd14
        lethe plan experiments/ssd.json --base-model sd14
        lethe models remove sd14

      Names belong to a store (its file models.json); the models stay where they are. A model's files are hashed \
      once, and again when their size, times or inode change.
      """,
    subcommands: [ModelsList.self, ModelsAdd.self, ModelsRemove.self, ModelsShow.self],
    defaultSubcommand: ModelsList.self)
}

struct ModelsList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the models that can be named, with size, precision, family and digest.")

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let models = try store.locations.knownModels(store.digests())
    output.print(["models": .array(models.map(ModelText.json))], else: { ModelText.table(models) })
  }
}

struct ModelsAdd: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Give a model a name.",
    discussion: """
      It has to open as a model, and its files are hashed once, which takes some seconds for each 4 GiB. It stays \
      where it is.

        lethe models add sd14 ~/models/stable-diffusion-v1-4
        lethe models add sd15 ~/models/v1-5-pruned.safetensors
      """)

  @Argument(help: "The name: letters, digits, \"-\", \"_\" and \".\".")
  var name: String

  @Argument(help: "A folder in the layout of diffusers, or a single file.")
  var path: String

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let model = try store.locations.register(
      name, folder: path, taken: Catalogue.standard.names, digests: store.digests())
    output.print(ModelText.json(model), else: { ModelText.table([model]) })
  }
}

struct ModelsRemove: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Forget the name of a model; the model stays as it is.",
    discussion: """
        lethe models remove sd14
      """)

  @Argument(help: "The name.")
  var name: String

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let path = try store.locations.registry.remove(name)
    output.print(
      ["name": .string(name), "folder": .string(path)],
      else: { "\(name) is no name any more; the model is still at \(path)" })
  }
}

struct ModelsShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show the parts, the scheduler and the card of a model.",
    discussion: """
        lethe models show shapes
        lethe models show ./sd14 --json
      """)

  @Argument(help: ArgumentHelp("The model.", valueName: "name|path"))
  var model: String

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let known = try store.locations.knownModel(model, store.digests())
    output.print(ModelText.json(known), else: { ModelText.text(known) })
  }
}
