import ArgumentParser
import Configuration
import Diffusion
import Store
import Workbench

struct Purify: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draw a picture again without what a run has erased.",
    discussion: """
      DDIM inversion finds the noise that leads to the picture, and the edited model of the run draws from it.

      By default the original model finds that noise, and both models are given the name of the concept that the run \
      erases: under that name the edited model draws something else. The paper (arXiv 2312.12807) leaves the inverting \
      model open; the edited one (--inversion-model tuned) may draw again what it has found itself. Under the empty \
      prompt (--prompt "") the edit has hardly anything to act on, and the picture stays as it is. A --prompt that \
      says all that the picture shows keeps more of the rest.

      What survives depends on the inversion, whose round trip can be written, and whose error is printed: the smaller \
      the better.

        lethe purify star.png --run 3f2a
        lethe purify star.png --run 3f2a --prompt "a red star" --reconstruction round-trip.png
      """)

  enum InversionModel: String, CaseIterable {
    case tuned, original
  }

  @Argument(help: ArgumentHelp("The picture, a PNG file of the model's size.", valueName: "image.png"))
  var picture: String

  @Option(name: .customLong("run"), help: ArgumentHelp("The run whose edited model draws.", valueName: "run"))
  var runName: String

  @Option(help: "The prompt of inversion and drawing (default: the concept that the run erases).")
  var prompt: String?

  @Option(
    help: ArgumentHelp("The model that finds the noise: original, or tuned (the edited one).", valueName: "model"),
    transform: { try Parsing.choice($0, InversionModel.self) })
  var inversionModel = InversionModel.original

  @Option(help: ArgumentHelp("Where the picture is written.", valueName: "file.png"))
  var out = "purified.png"

  @Option(help: ArgumentHelp("Where the round trip of the inversion is written.", valueName: "file.png"))
  var reconstruction: String?

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    for file in [out, reconstruction].compactMap(\.self) where !file.hasSuffix(".png") {
      throw ValidationError("a picture is written to a file that ends in .png, found \"\(file)\"")
    }
  }

  func run() throws {
    for file in [out, reconstruction].compactMap(\.self) { try WholeFile.confirmWritable(file) }
    let image = try PNG.read(picture)
    let store = try store.open()
    let runner = self.store.runner(store)
    let run = try store.run(named: runName)
    let prompt = try prompt ?? runner.purificationPrompt(of: run)
    try runner.fit(drawing: .seed(0, count: 1), by: run, into: memory.budget)
    Interruption.listen()
    let progress = ProgressLine()
    let result = try runner.purify(
      image, by: run, prompt: prompt, invertsWithBase: inversionModel == .original,
      monitor: progress.monitor("purifying"))
    progress.finish()
    try PNG.write(result.picture, to: out)
    if let reconstruction { try PNG.write(result.reconstruction, to: reconstruction) }
    let files = [out] + (reconstruction.map { [$0] } ?? [])
    output.print(
      [
        "files": .array(files.map(JSON.string)), "prompt": .string(prompt),
        "inversion_model": .string(inversionModel.rawValue), "round_trip_error": .number(result.roundTripError),
      ],
      else: {
        (files + ["relative error of the inversion's round trip: \(RunText.number(result.roundTripError))"])
          .joined(separator: "\n")
      })
  }
}
