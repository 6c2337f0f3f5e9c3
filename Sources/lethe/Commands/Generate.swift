import ArgumentParser
import Configuration
import Diffusion
import Tensors
import Workbench

struct Generate: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draw pictures from a prompt.",
    discussion: """
      The same prompt, seed and settings give the same bytes, and the noise is the one that an experiment with this \
      seed draws the prompt from. Steps, guidance scale and scheduler are the model's own where they are not given.

        lethe generate "a red striped circle" --seed 7 --out circle.png
        lethe generate "a stamped blue heart" --count 9 --sheet --out hearts.png
        lethe generate "a red circle" --run 3f2a --out erased.png

      Several pictures get numbered files (circle-0.png, circle-1.png, ...), or one sheet with --sheet.
      """)

  @Argument(help: "What the picture should show.")
  var prompt: String

  @Option(help: ArgumentHelp("The file, ending in .png.", valueName: "file"))
  var out = "picture.png"

  @Option(help: ArgumentHelp("The seed of the noise.", valueName: "n"))
  var seed: UInt64 = 0

  @Option(help: ArgumentHelp("How many pictures.", valueName: "n"))
  var count: Int?

  @Flag(help: "Lay several pictures out on one sheet.")
  var sheet = false

  @Option(help: ArgumentHelp("The model (default: shapes).", valueName: "name|path"))
  var model: String?

  @Option(
    name: .customLong("run"),
    help: ArgumentHelp("Draw with the edited model of a run, as that run drew.", valueName: "hash"))
  var runName: String?

  @Option(help: ArgumentHelp("Steps of the scheduler.", valueName: "n"))
  var steps: Int?

  @Option(
    help: ArgumentHelp(
      "The scheduler: \(Scheduler.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "name"))
  var scheduler: String?

  @Option(help: ArgumentHelp("η of ddim: from 0, without noise, to 1, with that of ddpm.", valueName: "number"))
  var eta: Double?

  @Option(help: ArgumentHelp("Scale of classifier-free guidance; 1 and below is no guidance.", valueName: "w"))
  var guidanceScale: Double?

  @Option(help: ArgumentHelp("What guidance leads away from.", valueName: "prompt"))
  var negativePrompt = ""

  @Option(
    help: ArgumentHelp(
      "Start from the tensor 'latents' (pictures x channels x height x width) of a file.", valueName: "file"))
  var latents: String?

  @Option(help: ArgumentHelp("Also write the final latents, as the tensor 'latents'.", valueName: "file"))
  var saveLatents: String?

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let count, !Parsing.counts.contains(count) {
      throw ValidationError("--count takes \(Parsing.countsInWords), found \(count)")
    }
    if let steps, steps < 1 { throw ValidationError("--steps takes a number of at least 1, found \(steps)") }
    if let guidanceScale, !(guidanceScale >= 0 && guidanceScale.isFinite) {
      throw ValidationError("--guidance-scale takes a number of at least 0, found \(guidanceScale)")
    }
    if let eta, !(0...1).contains(eta) {
      throw ValidationError("--eta takes a number from 0 to 1, found \(eta)")
    }
    if let scheduler, Scheduler(rawValue: scheduler) == nil {
      let names = Scheduler.allCases.map(\.rawValue)
      let hint = nearest(to: scheduler, among: names).map { " (did you mean \($0)?)" } ?? ""
      throw ValidationError("--scheduler takes one of \(names.joined(separator: ", ")), found \"\(scheduler)\"\(hint)")
    }
    guard out.hasSuffix(".png") else { throw ValidationError("--out takes a file that ends in .png, found \"\(out)\"") }
    if runName != nil, model != nil {
      throw ValidationError("--run and --model both name a model; give one of them")
    }
    if latents != nil, count != nil {
      throw ValidationError("--latents says how many pictures there are, so --count cannot")
    }
  }

  func run() throws {
    for file in [out, saveLatents].compactMap(\.self) { try WholeFile.confirmWritable(file) }
    var (model, settings) = try source()
    if let steps { settings.steps = steps }
    if let guidanceScale { settings.guidanceScale = guidanceScale }
    if let scheduler { settings.scheduler = Scheduler(rawValue: scheduler) }
    if let eta { settings.eta = eta }
    settings.negativePrompt = negativePrompt
    let unknown = model.card?.unknownWords(in: prompt + " " + negativePrompt) ?? []
    if !unknown.isEmpty {
      Console.warn("the model never saw \(unknown.map { "\"\($0)\"" }.joined(separator: ", ")) in training")
    }
    if let warning = model.tokenizer.truncationWarning([prompt, negativePrompt]) { Console.warn(warning) }
    let order = PictureOrder(prompt: prompt, settings: settings, start: start)
    Interruption.listen()
    let progress = ProgressLine()
    let drawing = try order.draw(model, monitor: progress.monitor("drawing"))
    progress.finish()
    // Weights show the memory of their files: what was drawn from a model that changed meanwhile is of neither.
    try model.confirmUnchanged()
    let files = try write(drawing.pictures)
    if let saveLatents { try Safetensors.write([(name: "latents", tensor: drawing.latents)], to: saveLatents) }
    let written = files + (saveLatents.map { [$0] } ?? [])
    output.print(json(files, settings, model), else: { written.joined(separator: "\n") })
  }

  private var start: PictureOrder.Start { latents.map { .file($0) } ?? .seed(seed, count: count ?? 1) }

  /// The model, and how it likes to draw.
  private func source() throws -> (DiffusionModel, SamplerSettings) {
    if let runName {
      let store = try store.open()
      let (runner, run) = (self.store.runner(store), try store.run(named: runName))
      try runner.fit(drawing: start, by: run, into: memory.budget)
      return try runner.model(of: run)
    }
    let folder = try store.locations.modelFolder(model ?? "shapes", from: ".")
    // Read no weight for what cannot be drawn.
    try memory.budget.fitDrawing(
      start, SamplerSettings(guidanceScale: guidanceScale ?? SamplerSettings().guidanceScale), folder: folder)
    let model = try DiffusionModel(folder: folder)
    for assumption in model.assumptions { Console.warn(assumption) }
    guard let sampler = model.card?.sampler else { return (model, SamplerSettings()) }
    return (model, SamplerSettings(steps: sampler.steps, guidanceScale: sampler.guidanceScale))
  }

  /// Writes the pictures and returns their files.
  private func write(_ pictures: [RGBImage]) throws -> [String] {
    if pictures.count == 1 || sheet {
      var columns = 1
      while columns * columns < pictures.count { columns += 1 }
      let picture = pictures.count == 1 ? pictures[0] : RGBImage.contactSheet(pictures, columns: columns)
      try PNG.write(picture, to: out)
      return [out]
    }
    return try pictures.enumerated().map { number, picture in
      let file = "\(out.dropLast(4))-\(number).png"
      try PNG.write(picture, to: file)
      return file
    }
  }

  private func json(_ files: [String], _ settings: SamplerSettings, _ model: DiffusionModel) -> JSON {
    var json: [String: JSON] = [
      "prompt": .string(prompt), "files": .array(files.map(JSON.string)), "steps": .integer(settings.steps),
      "guidance_scale": .number(settings.guidanceScale), "negative_prompt": .string(negativePrompt),
    ]
    json["scheduler"] = (settings.scheduler ?? model.architecture.scheduler.scheduler).json
    if settings.eta != 0 { json["eta"] = .number(settings.eta) }
    if latents == nil { json["seed"] = .string(String(seed)) }
    json["saved_latents"] = saveLatents.map(JSON.string)
    return .object(json)
  }
}
