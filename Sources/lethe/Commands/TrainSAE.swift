import ArgumentParser
import Configuration
import Store
import Workbench

struct TrainSAE: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    commandName: "sae",
    abstract: "Train the sparse autoencoder that saeuron erases with, on the activations of a model.",
    discussion: """
      The model draws the recipe's training_prompts; what one of its transformers puts out on the way, at every step \
      and position, is what the autoencoder learns to write with k of many latents. It comes as one .safetensors file, \
      which knows its layer, its k and its base model; saeuron reads it as autoencoder_path.

        lethe train sae --out shapes.safetensors
        lethe train sae --set hookpoint=mid_block.attentions.0 --out mid.safetensors
        lethe train sae --recipe mine.json --base-model ./sd14 --out sd14.safetensors
        lethe train sae --declare

      With --declare it is written into the model's folder and declared in the model's lethe.json, where saeuron finds \
      it without being told. That is how the autoencoder of shapes was made, and how one is made for shapes that were \
      trained anew. A training that was stopped or killed goes on when the same command is given again, and one that \
      the store knows is only written. The recipe's keys are those that saeuron trains with by itself: lethe describe \
      saeuron.
      """)

  @Option(help: ArgumentHelp("The recipe.", valueName: "file"))
  var recipe = "experiments/shapes/sae.json"

  @Option(help: ArgumentHelp("A value that takes the place of the recipe's.", valueName: "key=value"))
  var set: [String] = []

  @Option(
    help: ArgumentHelp("The model to train on: a name, or a path with a slash in it.", valueName: "name|path"))
  var baseModel: String?

  @Option(help: ArgumentHelp("Where the autoencoder is written.", valueName: "file"))
  var out: String?

  @Flag(help: "Write it into the model's folder and declare it in the model's lethe.json, instead of --out.")
  var declare = false

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (out != nil) != declare else {
      throw ValidationError("either --out says where the autoencoder is written, or --declare puts it into the model")
    }
  }

  func run() throws {
    let recipe = try SparseAutoencoderRecipe(
      reading: self.recipe, overrides: Train.overrides(set), baseModel: baseModel)
    let runner = store.runner(try store.open(create: true))
    Interruption.listen()
    let outcome = try runner.train(
      recipe, file: self.recipe, to: out.map(SparseAutoencoderPlace.file) ?? .baseModel, budget: memory.budget,
      monitor: RunProgress().monitor)
    output.print(json(outcome), else: { text(outcome) })
    try Train.end(outcome)
  }

  /// How well the autoencoder explains what it was trained on; null where the training did not come to its end.
  private func fit(_ outcome: RunOutcome) -> JSON {
    outcome.record.stages.first { $0.name == "autoencoder" }?.details ?? .null
  }

  private func json(_ outcome: RunOutcome) -> JSON {
    .object((outcome.json.object ?? [:]).merging(["fit": fit(outcome)]) { $1 })
  }

  private func text(_ outcome: RunOutcome) -> String {
    let run = "run \(outcome.run.short) \(outcome.record.status.rawValue)"
    guard let unexplained = fit(outcome)["unexplained"]?.number, let dead = fit(outcome)["dead_latents"]?.integer
    else { return run }
    return "\(run): \(RunText.fixed(unexplained * 100, 1)) % of the variance unexplained, \(dead) dead latents"
  }
}
