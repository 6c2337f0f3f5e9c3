import ArgumentParser
import Configuration
import Tensors
import Workbench

/// For `benchmarks/parity_sd.py`; nobody else has a use for it.
struct Forward: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compute what parts of a model make of the tensors in a file.",
    discussion: "benchmarks/parity_sd.py writes the file and sets the results beside those of diffusers.",
    shouldDisplay: false)

  @Argument(help: ArgumentHelp("The model.", valueName: "name|path"))
  var model: String

  @Option(help: ArgumentHelp("A safetensors file.", valueName: "file"))
  var inputs: String

  @Option(name: .customLong("output"), help: ArgumentHelp("A safetensors file.", valueName: "file"))
  var results: String

  @Option(
    help: ArgumentHelp("text, unet, vae-decode, vae-encode, step, gradients.", valueName: "part,part"),
    transform: { try Parsing.words($0).map { try Parsing.choice($0, PartComputation.Part.self) } })
  var parts: [PartComputation.Part]

  @Option(
    name: .customLong("gradients-of"),
    help: ArgumentHelp("Weights of the UNet by name, for the part gradients.", valueName: "name,name"),
    transform: Parsing.words)
  var gradientsOf: [String] = []

  @OptionGroup var store: StoreOptions

  func validate() throws {
    if parts.contains(.gradients) == gradientsOf.isEmpty {
      throw ValidationError("the part gradients and --gradients-of belong together; one of them is missing")
    }
  }

  func run() throws {
    try WholeFile.confirmWritable(results)
    let folder = try store.locations.modelFolder(model, from: ".")
    let file = try SafetensorsFile(inputs)
    Interruption.listen()
    let progress = ProgressLine()
    let outputs = try PartComputation(parts, gradientsOf: gradientsOf)
      .run(folder: folder, inputs: file, monitor: progress.monitor("parts"))
    progress.finish()
    try Safetensors.write(outputs, to: results)
  }
}
