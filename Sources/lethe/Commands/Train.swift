import ArgumentParser
import Configuration
import Shapes
import Store
import Workbench

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a model, or a sparse autoencoder of one.", subcommands: [TrainShapes.self, TrainSAE.self])

  /// The `--set` options of a recipe.
  static func overrides(_ texts: [String]) throws -> [(keyPath: String, value: JSON)] {
    try texts.map { text in
      let assignment = try Assignment(parsing: text)
      guard let value = assignment.values.first, assignment.values.count == 1 else {
        throw ValidationError("--set \(text): a recipe has one value for each key; write a list as JSON")
      }
      return (assignment.keyPath, value)
    }
  }

  /// Ends with the status of a training that was interrupted or failed, and says which.
  static func end(_ outcome: RunOutcome) throws {
    if outcome.record.status == .interrupted { throw Exit.resumable() }
    if let error = outcome.record.error {
      Console.note("lethe: \(Style.red("error:")) run \(outcome.run.short) failed: \(error)")
      throw ExitCode.failure
    }
  }
}

struct TrainShapes: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    commandName: "shapes",
    abstract: "Train the embedded model from nothing, by the recipe of a folder.",
    discussion: """
      Judge, CLIP, autoencoder and UNet are trained one after the other. Each is kept in the store: a training that \
      was stopped or killed goes on when the same command is given again, and a changed recipe trains again only what \
      depends on the change.

        lethe train shapes
        lethe train shapes --set unet.network.channels=[64,128] --out wide-unet

      The model in store/models/shapes is only replaced if --out names it.
      """)

  @Option(
    help: ArgumentHelp("The folder with judge.json, clip.json, autoencoder.json and unet.json.", valueName: "folder"))
  var recipe = "experiments/shapes"

  @Option(
    help: ArgumentHelp(
      "A value that takes the place of the recipe's; its key path begins with the part.", valueName: "key=value"))
  var set: [String] = []

  @Option(help: ArgumentHelp("Where the diffusers folder is written.", valueName: "folder"))
  var out = "trained-shapes"

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    try WholeFile.confirmWritable(out + "/model_index.json", makesFolders: true)
    let training = TrainingRun(
      store: try store.open(create: true), recipe: try ShapesRecipe(folder: recipe, overrides: Train.overrides(set)),
      recipeFolder: recipe)
    Interruption.listen()
    let progress = ProgressLine()
    let outcome = try training.run(
      to: out, isCancelled: { Interruption.wasAsked },
      report: { part, step, steps, loss in progress.update(part, step, of: steps) },
      handle: { event in
        switch event {
        case .stageFinished(let stage):
          progress.finish()
          Console.note(
            "lethe: \(stage.name) \(stage.cached ? "comes from the store" : "trained in \(Int(stage.seconds)) s")")
        case .warning(let sentence): Console.warn(sentence)
        case .runStarted, .stageStarted, .progress, .runFinished: break
        }
      })
    progress.finish()
    output.print(outcome.json, else: { "\(out): run \(outcome.run.short) \(outcome.record.status.rawValue)" })
    try Train.end(outcome)
  }
}
