import Configuration
import Diffusion
import Erasure
import Foundation
import Shapes
import Store
import Tensors
import TestSupport
import Testing
import Workbench

/// What both an experiment and a recipe train with.
private let settings: [String: JSON] = [
  "training_prompts": ["a circle", "a cat"], "expansion_factor": 2, "k": 4, "effective_batch_size": 16,
  "num_epochs": 2, "lr": 1e-3,
]

private let layer: JSON = "up_blocks.1.attentions.0"

private let recipe: JSON = .object(settings.merging(["base_model": "./models/tiny", "hookpoint": layer]) { $1 })

private func experiment(_ changes: [String: JSON]) -> JSON {
  let config: [String: JSON] = ["erase_concept": "circle", "contrast_prompts": ["a cat"], "top_features": 4]
  return [
    "base_model": "./models/tiny",
    "technique": ["name": "saeuron", "config": .object(config.merging(changes) { $1 })],
    "metrics": [["name": "mean_pixel", "config": ["limit": 2]]],
  ]
}

private let trained = experiment(settings.merging(["hookpoint": layer]) { $1 })

extension SmallWorkbench {
  private static let catalogue = Catalogue(
    techniques: ["saeuron": SAeUronConfiguration.self], metrics: Catalogue.small.metrics)

  private func newRunner() -> Runner { Runner(store: store, locations: locations, catalogue: Self.catalogue) }

  /// As a new process would.
  fileprivate func train(
    _ recipe: JSON = recipe, to place: SparseAutoencoderPlace, monitor: RunMonitor = RunMonitor()
  ) throws -> RunOutcome {
    let file = folder + "/sae.json"
    try Data(recipe.pretty().utf8).write(to: URL(fileURLWithPath: file))
    return try newRunner().train(SparseAutoencoderRecipe(reading: file), file: file, to: place, monitor: monitor)
  }

  fileprivate func erase(_ document: JSON) throws -> RunOutcome {
    let runner = newRunner()
    let points = try runner.points(
      of: Experiment(document, file: folder + "/e.json", catalogue: Self.catalogue))
    try runner.check(points)
    return try runner.run(points)[0]
  }

  fileprivate func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path(name))) }

  fileprivate func path(_ name: String) -> String { folder + "/" + name }

  fileprivate func refusal(_ work: () throws -> RunOutcome) -> String {
    do {
      return "nothing refused: run \(try work().run)"
    } catch {
      return "\(error)"
    }
  }
}

@Suite("A sparse autoencoder, trained as a run")
struct SparseAutoencoderRunTests {
  @Test("the technique's own training is the same stage, and what it reads from the file gives the same edit")
  func sharedStage() throws {
    let bench = try SmallWorkbench()
    let training = try bench.train(to: .file(bench.path("sae.safetensors")))
    #expect(training.record.status == .finished)
    #expect(training.computed == ["autoencoder"])
    #expect(training.record.stages.last?.details?["unexplained"]?.number != nil)
    let itself = try bench.erase(trained)
    #expect(itself.record.status == .finished, "\(itself.record.error ?? "")")
    #expect(!itself.computed.contains("autoencoder"))
    #expect(itself.output("autoencoder") == training.output("autoencoder"))
    let read = try bench.erase(experiment(["autoencoder_path": "sae.safetensors", "hookpoint": layer]))
    #expect(read.output("edit.inference") == itself.output("edit.inference"))
    let again = try bench.train(to: .file(bench.path("again.safetensors")))
    #expect(again.computed.isEmpty && again.record.configHash == training.record.configHash)
    #expect(try bench.bytes("again.safetensors") == bench.bytes("sae.safetensors"))
  }

  @Test("one that the base model declares is found by its layer, and does not change what the model is called")
  func declared() throws {
    let bench = try SmallWorkbench()
    #expect(
      bench.refusal { try bench.erase(experiment([:])) }.contains(
        "e.json: technique.config.autoencoder_path: the base model \"./models/tiny\" declares no sparse autoencoder "
          + "for the hookpoint up_blocks.1.attentions.1 (it declares none)"))
    let itself = try bench.erase(trained)
    let training = try bench.train(to: .baseModel)
    #expect(training.computed.isEmpty)
    let card = try #require(try ModelCard.load(folder: bench.modelFolder))
    #expect(card.sparseAutoencoders == ["up_blocks.1.attentions.0": "sae/up_blocks.1.attentions.0.safetensors"])
    let found = try bench.erase(experiment([:]))
    #expect(found.record.status == .finished, "\(found.record.error ?? "")")
    #expect(found.record.stages.first?.key == itself.record.stages.first?.key)
    #expect(found.record.experiment.value(at: "technique.config.hookpoint") == layer)
    #expect(found.output("edit.inference") == itself.output("edit.inference"))
    #expect(
      bench.refusal { try bench.erase(experiment(["hookpoint": "mid_block.attentions.0"])) }
        .contains("(it declares some for up_blocks.1.attentions.0)"))
  }

  @Test("an autoencoder of another layer, width or base model is refused by name before anything runs")
  func refused() throws {
    let bench = try SmallWorkbench()
    _ = try bench.train(to: .file(bench.path("sae.safetensors")))
    func refusal(_ hookpoint: JSON) -> String {
      bench.refusal { try bench.erase(experiment(["autoencoder_path": "sae.safetensors", "hookpoint": hookpoint])) }
    }
    #expect(
      refusal("mid_block.attentions.0")
        == "\(bench.path("sae.safetensors")) is an autoencoder of the layer 'up_blocks.1.attentions.0', and hookpoint "
        + "is 'mid_block.attentions.0'")
    let narrow = Tensor.zeros([4, 2])
    try Safetensors.write(
      [
        (name: "W_dec", tensor: narrow), (name: "encoder.weight", tensor: narrow),
        (name: "encoder.bias", tensor: Tensor.zeros([4])), (name: "b_dec", tensor: Tensor.zeros([2])),
      ], to: bench.path("narrow.safetensors"),
      metadata: ["hook_layer": "up_blocks.1.attentions.0", "width": "2", "k": "1"])
    let narrowed = bench.refusal {
      try bench.erase(experiment(["autoencoder_path": "narrow.safetensors", "hookpoint": layer]))
    }
    #expect(
      narrowed.hasPrefix("\(bench.path("narrow.safetensors")) is an autoencoder for vectors of width 2")
        && narrowed.contains("has the width 16"))
    // Another model of the same architecture.
    let config = bench.modelFolder + "/scheduler/scheduler_config.json"
    try Data((JSON.read(config).setting("beta_end", to: 0.013)).pretty().utf8).write(to: URL(fileURLWithPath: config))
    #expect(refusal(layer).contains("sae.safetensors was trained on the base model sha256:"))
    #expect(
      bench.refusal {
        try bench.erase(experiment(["autoencoder_path": "missing.safetensors", "hookpoint": layer]))
      }.contains("missing.safetensors"))
  }

  @Test("a training that was interrupted goes on to the same bytes")
  func interrupted() throws {
    let whole = try SmallWorkbench()
    let undisturbed = try whole.train(to: .file(whole.path("sae.safetensors")))
    let bench = try SmallWorkbench()
    var steps = 0
    let monitor = RunMonitor(
      handle: { if case .progress(_, _, .some, _) = $0 { steps += 1 } }, isCancelled: { steps == 3 })
    let stopped = try bench.train(to: .file(bench.path("sae.safetensors")), monitor: monitor)
    #expect(stopped.record.status == .interrupted)
    #expect(!FileManager.default.fileExists(atPath: bench.path("sae.safetensors")))
    var resumedSteps = 0
    let counting = RunMonitor(handle: { if case .progress(_, _, .some, _) = $0 { resumedSteps += 1 } })
    let resumed = try bench.train(to: .file(bench.path("sae.safetensors")), monitor: counting)
    #expect(resumed.output("autoencoder") == undisturbed.output("autoencoder"))
    #expect(try bench.bytes("sae.safetensors") == whole.bytes("sae.safetensors"))
    #expect(resumedSteps > 0)
  }

  @Test(
    "a recipe that cannot be trained is refused in a sentence, and leaves no run",
    arguments: [
      ("hookpoint", "up_blocks.1.atentions.0", "did you mean \"up_blocks.1.attentions.0\"?"),
      ("hookpiont", "x", "sae.json: hookpiont: unknown key; did you mean \"hookpoint\"?"),
      ("training_prompts", nil, "sae.json: training_prompts: expected prompts to train on, found none"),
      ("base_model", "shaeps", "sae.json: base_model: there is no base model \"shaeps\""),
      ("k", 0, "sae.json: k: expected an integer, at least 1"),
    ] as [(String, JSON, String)])
  func badRecipe(_ key: String, _ value: JSON, _ sentence: String) throws {
    let bench = try SmallWorkbench()
    let changed = try recipe.setting(key, to: value)
    let found = bench.refusal { try bench.train(changed, to: .file(bench.path("sae.safetensors"))) }
    #expect(found.contains(sentence), "\(found)")
    #expect(try bench.store.index().list(RunFilter()).isEmpty)
  }

  @Test("a base model without a card has nowhere to declare one")
  func noCard() throws {
    let bench = try SmallWorkbench()
    try FileManager.default.removeItem(atPath: bench.modelFolder + "/lethe.json")
    let found = bench.refusal { try bench.train(to: .baseModel) }
    #expect(found.contains("has no lethe.json that could declare an autoencoder"))
  }

  @Test("the autoencoder that ships is of the model that ships, by the recipe that ships")
  func shipped() throws {
    let folder = String(experimentsFolder.dropLast("experiments".count)) + "store/models/shapes"
    var card = try #require(try ModelCard.load(folder: folder))
    let recipe = try SparseAutoencoderRecipe(reading: experimentsFolder + "/shapes/sae.json")
    let layer = recipe.autoencoder.layer
    let file = try #require(card.sparseAutoencoders?[layer])
    let autoencoder = try SparseAutoencoder(loading: "\(folder)/\(file)")
    try withScratchFolder { scratch in
      let base = try BaseModel(name: "shapes", folder: folder, digests: FileDigests(storeFolder: scratch))
      #expect(autoencoder.base == base.digest.hex)
    }
    let settings = recipe.autoencoder
    #expect(autoencoder.layer == layer && autoencoder.k == settings.k)
    #expect(autoencoder.latents == settings.expansionFactor * autoencoder.width)
    // What training the model writes is the rest of the card.
    card.sparseAutoencoders = nil
    #expect(card == ShapesWorld().modelCard())
  }
}
