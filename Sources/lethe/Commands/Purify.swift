import ArgumentParser
import Configuration
import Diffusion
import Store
import Workbench

struct Purify: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draw a picture again without what a run has erased.",
    discussion: """
      DDIM inversion finds the noise that leads to the picture, and the edited model of the run draws from it. Name what the \
      picture shows with --prompt: with the empty one the edit has hardly anything to act on. What survives depends on the \
      inversion, whose round trip can be written, and whose error is printed: the smaller the better.

        lethe purify star.png --run 3f2a --prompt "a red star" --inversion-model original
        lethe purify star.png --run 3f2a --prompt "a red star" --reconstruction round-trip.png
      """)

  enum InversionModel: String, CaseIterable {
    case tuned, original
  }

  @Argument(help: ArgumentHelp("The picture, a PNG file of the model's size.", valueName: "image.png"))
  var picture: String

  @Option(name: .customLong("run"), help: ArgumentHelp("The run whose edited model draws.", valueName: "run"))
  var runName: String

  @Option(help: "The prompt of inversion and drawing; by default the empty one.")
  var prompt = ""

  @Option(
    help: ArgumentHelp("The model that finds the noise: tuned (the edited one) or original.", valueName: "model"),
    transform: { try Parsing.choice($0, InversionModel.self) })
  var inversionModel = InversionModel.tuned

  @Option(help: ArgumentHelp("Where the picture is written.", valueName: "file.png"))
  var out = "purified.png"

  @Option(help: ArgumentHelp("Where the round trip of the inversion is written.", valueName: "file.png"))
  var reconstruction: String?

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    for file in [out, reconstruction].compactMap(\.self) where !file.hasSuffix(".png") {
      throw ValidationError("a picture is written to a file that ends in .png, found \"\(file)\"")
    }
  }

  func run() throws {
    let image = try PNG.read(picture)
    let store = try store.open()
    let runner = Runner(store: store, locations: self.store.locations)
    Interruption.listen()
    let progress = ProgressLine()
    let result = try runner.purify(
      image, by: store.run(named: runName), prompt: prompt, invertsWithBase: inversionModel == .original,
      monitor: progress.monitor("purifying"))
    progress.finish()
    try PNG.write(result.picture, to: out)
    if let reconstruction { try PNG.write(result.reconstruction, to: reconstruction) }
    let files = [out] + (reconstruction.map { [$0] } ?? [])
    output.print(
      ["files": .array(files.map(JSON.string)), "round_trip_error": .number(result.roundTripError)],
      else: {
        (files + ["relative error of the inversion's round trip: \(RunText.number(result.roundTripError))"])
          .joined(separator: "\n")
      })
  }
}
