import ArgumentParser
import Configuration
import Diffusion
import Workbench

struct Bench: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time this machine, or tell how long experiments will take on it.",
    discussion: """
      Without an experiment: seconds per image, per training step and per Fisher sample.

      benchmarks/diffusers_peer.py prints the same document for the same work in diffusers; make bench runs both and \
      prints the ratios.

        lethe bench
        lethe bench --model store/models/shapes --json

      With experiments: what passes of their model take, and how long each experiment will take here (lethe plan says \
      it stage by stage).

        lethe bench experiments/techniques/*.json
      """)

  @Argument(help: ArgumentHelp("Experiments to estimate instead.", valueName: "file"))
  var experiments: [String] = []

  @Option(help: ArgumentHelp("The model to draw with.", valueName: "name|folder"))
  var model = "shapes"

  @Option(help: ArgumentHelp("DDIM steps.", valueName: "n"))
  var steps = 50

  @Option(help: ArgumentHelp("Batch sizes of sampling.", valueName: "n,n"), transform: Parsing.numbers)
  var batches = [1, 64]

  @Option(help: ArgumentHelp("Times that each piece of work is repeated; the median is printed.", valueName: "n"))
  var repeats = 5

  @Option(
    help: ArgumentHelp(
      "Time the Fréchet distance of so many vectors instead.", valueName: "n", visibility: .hidden))
  var features: Int?

  @Option(help: ArgumentHelp("Their width.", valueName: "n", visibility: .hidden))
  var width = 2048

  @Flag(help: ArgumentHelp("Time the inner loops of attacks instead.", visibility: .hidden))
  var attacks = false

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    for (name, value) in [("steps", steps), ("repeats", repeats), ("width", width)] where value < 1 {
      throw ValidationError("--\(name) takes a number of at least 1, found \(value)")
    }
    if let features, features < 2 {
      throw ValidationError("--features takes a number of at least 2, found \(features)")
    }
    if let batch = batches.first(where: { !Parsing.counts.contains($0) }) {
      throw ValidationError("each of --batches takes \(Parsing.countsInWords), found \(batch)")
    }
  }

  func run() throws {
    if !experiments.isEmpty { return try ExperimentTimes(files: experiments).print(store, output) }
    if let features {
      let result = try FrechetBenchmark(vectors: features, width: width, repeats: repeats).run()
      return output.print(result, else: { result.pretty() })
    }
    let model = try DiffusionModel(folder: store.locations.modelFolder(model, from: "."))
    if attacks { return try timeAttacks(model) }
    var benchmark = Benchmark()
    benchmark.steps = steps
    benchmark.batches = batches
    benchmark.repeats = repeats
    Interruption.listen()
    let progress = ProgressLine()
    let result = try benchmark.run(model, monitor: progress.monitor("benchmark"))
    progress.finish()
    output.print(result.json, else: { text(result) })
  }

  private func timeAttacks(_ model: DiffusionModel) throws {
    var benchmark = AttackBenchmark()
    benchmark.repeats = repeats
    Interruption.listen()
    let progress = ProgressLine()
    let result = try benchmark.run(model, monitor: progress.monitor("benchmark"))
    progress.finish()
    output.print(result.json) {
      var columns = Columns()
      func add(_ name: String, _ measure: AttackBenchmark.Measure) {
        columns.add(
          name, RunText.fixed(measure.seconds * 1000, 3) + " ms",
          RunText.fixed(measure.processorSeconds * 1000, 3) + " ms of processors")
      }
      add("an iteration of UnlearnDiffAtk, one prompt after the other", result.alone)
      add("the same, \(result.prompts) prompts at once", result.together)
      add("an evaluation of Ring-A-Bell", result.evaluation)
      return columns.text() + "\n\n\(result.threads) threads"
    }
  }

  private func text(_ result: Benchmark.Result) -> String {
    var columns = Columns()
    for (batch, seconds) in result.perImage {
      columns.add("seconds per image, batch \(batch)", RunText.fixed(seconds, 4))
    }
    columns.add("seconds per training step, batch \(result.trainingBatch)", RunText.fixed(result.perTrainingStep, 4))
    columns.add("seconds per Fisher sample", RunText.fixed(result.perFisherSample, 4))
    return columns.text()
      + "\n\n\(result.parameters) parameters, \(result.steps) DDIM steps, guidance scale "
      + "\(RunText.number(result.guidanceScale)), \(result.threads) threads"
  }
}
