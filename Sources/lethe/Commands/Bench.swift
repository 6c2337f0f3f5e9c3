import ArgumentParser
import Configuration
import Diffusion
import Tensors
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
        lethe bench --part unet-forward --model models/sd14
        lethe bench --roofline models/sd14

      --part times one part in a process that does nothing else, with the most memory that it held, and --roofline \
      says which layers take how long. Speeds are shares of what products of matrices 2,048 wide reach in the same run.

      With experiments: what passes of their model take, and how long each experiment will take here (lethe plan says \
      it stage by stage).

        lethe bench experiments/techniques/*.json
      """)

  @Argument(help: ArgumentHelp("Experiments to estimate instead.", valueName: "file"))
  var experiments: [String] = []

  @Option(help: ArgumentHelp("The model to draw with.", valueName: "name|path"))
  var model = "shapes"

  @Option(help: ArgumentHelp("Steps of the scheduler.", valueName: "n"))
  var steps = 50

  @Option(help: ArgumentHelp("Batch sizes of sampling.", valueName: "n,n"), transform: Parsing.numbers)
  var batches = [1, 64]

  @Option(help: ArgumentHelp("Times that each piece of work is repeated; the median is printed.", valueName: "n"))
  var repeats = 5

  @Option(
    help: ArgumentHelp(
      "Time one part alone: unet-forward, unet-gradient or vae-decode.", valueName: "part"),
    transform: { try Parsing.choice($0, PartBenchmark.Work.self) })
  var part: PartBenchmark.Work?

  @Flag(help: "Time --part on one thread as well, each pass in turn, and say what all threads gain.")
  var scaling = false

  @Option(
    help: ArgumentHelp(
      "Time each layer of a model's UNet alone, or of the part that --part names.", valueName: "name|path"))
  var roofline: String?

  @Option(help: ArgumentHelp("Items of --part and --roofline (default: 2 forward, else 1).", valueName: "n"))
  var batch: Int?

  @Option(
    help: ArgumentHelp("Height and width of their latents (default: as the model was trained).", valueName: "n"))
  var latentSize: Int?

  @Option(
    help: ArgumentHelp(
      "Time the Fréchet distance of so many vectors instead.", valueName: "n", visibility: .hidden))
  var features: Int?

  @Option(help: ArgumentHelp("Their width.", valueName: "n", visibility: .hidden))
  var width = 2048

  @Flag(help: ArgumentHelp("Time the inner loops of attacks instead.", visibility: .hidden))
  var attacks = false

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    for (name, value) in [("steps", steps), ("repeats", repeats), ("width", width)] where value < 1 {
      throw ValidationError("--\(name) takes a number of at least 1, found \(value)")
    }
    if let features, features < 2 {
      throw ValidationError("--features takes a number of at least 2, found \(features)")
    }
    if let batch, !Parsing.counts.contains(batch) {
      throw ValidationError("--batch takes \(Parsing.countsInWords), found \(batch)")
    }
    if let latentSize, !(1...1024).contains(latentSize) {
      throw ValidationError("--latent-size takes a number of at least 1 and at most 1024, found \(latentSize)")
    }
    if part == nil, memory.limit != nil {
      throw ValidationError("--memory belongs to --part, which times one piece of work in one process")
    }
    if part == nil, scaling {
      throw ValidationError("--scaling belongs to --part, which times one piece of work in one process")
    }
    if scaling, Parallel.threadCount == 1 {
      throw ValidationError("--scaling compares all threads with one, and there is one core to run on")
    }
    if part == nil, roofline == nil, batch != nil || latentSize != nil {
      throw ValidationError("--batch and --latent-size belong to --part and --roofline; sampling has --batches")
    }
    if roofline != nil, part == .unetGradient {
      throw ValidationError("--roofline is drawn of forward passes: unet-forward or vae-decode")
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
    if let roofline { return try drawRoofline(store.locations.modelFolder(roofline, from: ".")) }
    let folder = try store.locations.modelFolder(model, from: ".")
    if let part { return try time(part, folder) }
    let model = try DiffusionModel(folder: folder)
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
    var columns = Columns(["", "seconds", "of products"], numbers: [1, 2])
    func add(_ name: String, _ seconds: Double, _ operations: Int) {
      columns.add(name, RunText.fixed(seconds, 4), BenchText.percent(result.share(operations, seconds: seconds)))
    }
    for (batch, seconds) in result.perImage { add("image, batch \(batch)", seconds, result.operations.perImage) }
    add("training step, batch \(result.trainingBatch)", result.perTrainingStep, result.operations.perTrainingStep)
    add("Fisher sample", result.perFisherSample, result.operations.perFisherSample)
    return columns.text()
      + "\n\n\(result.parameters) parameters, \(result.steps) steps, guidance scale "
      + "\(RunText.number(result.guidanceScale)), \(result.threads) threads; products of matrices reach "
      + BenchText.speed(result.productSpeed)
  }

  private func time(_ part: PartBenchmark.Work, _ folder: String) throws {
    var benchmark = PartBenchmark(part)
    benchmark.batch = batch
    benchmark.latentSize = latentSize
    benchmark.repeats = repeats
    benchmark.comparesWithOneThread = scaling
    try memory.budget.fit(benchmark, folder: folder)
    Interruption.listen()
    let progress = ProgressLine()
    let result = try benchmark.run(folder: folder, monitor: progress.monitor(part.rawValue))
    progress.finish()
    output.print(result.json, else: { BenchText.part(result) })
  }

  private func drawRoofline(_ folder: String) throws {
    var roofline = Roofline()
    roofline.work = part ?? .unetForward
    roofline.batch = batch
    roofline.latentSize = latentSize
    roofline.repeats = repeats
    Interruption.listen()
    let progress = ProgressLine()
    let result = try roofline.run(folder: folder, monitor: progress.monitor("roofline"))
    progress.finish()
    output.print(result.json, else: { BenchText.roofline(result) })
  }
}
