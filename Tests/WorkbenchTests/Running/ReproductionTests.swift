import Configuration
import Diffusion
import Foundation
import Store
import Testing
import Workbench

@Suite("Reproduction")
struct ReproductionTests {
  @Test("a run comes out the same, byte by byte, without the cache being read or its file written again")
  func identical() throws {
    let bench = try SmallWorkbench()
    let path = bench.folder + "/ssd.safetensors"
    let run = try bench.run(with(small, "technique.config.save_path", "ssd.safetensors"))[0]
    try FileManager.default.removeItem(atPath: path)
    var computed: [String] = []
    let monitor = RunMonitor(handle: { if case .stageStarted(let name, _) = $0 { computed.append(name) } })
    let again = try bench.runner().reproduce(run.run, monitor: monitor)
    #expect(again.verdict == .identical)
    #expect(again.outputs.map(\.name) == ["fisher.forget", "fisher.retain", "edit", "images", "metric.mean_pixel"])
    #expect(again.outputs.allSatisfy { $0.reproduced == $0.recorded && $0.tolerance == nil })
    #expect(again.firstDivergence == nil)
    #expect(again.environment.isEmpty)
    #expect(computed == ["fisher.forget", "fisher.retain", "edit", "images", "metric.mean_pixel"])
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(try bench.store.runs.list() == [run.run])
    #expect(again.json["identical"] == true)
    #expect(again.json["first_divergence"] == .null)
  }

  @Test("an output that comes out otherwise is named, and on the same machine no tolerance excuses it")
  func different() throws {
    let bench = try SmallWorkbench()
    let outcome = try bench.run(small)[0]
    let other = try bench.run(with(small, "technique.config.alpha", 50))[0]
    // A record that claims the images of another edit.
    var record = outcome.record
    let position = try #require(record.outputs.firstIndex { $0.name == "images" })
    record.outputs[position].digest = try #require(other.output("images"))
    let again = try bench.runner().reproduce(bench.store.add(record))
    #expect(again.verdict == .different)
    #expect(again.firstDivergence?.name == "images")
    #expect(again.firstDivergence?.detail?.contains("4 of 4 images differ, the first \"a circle\"") == true)
    #expect(again.outputs.filter { $0.verdict == .different }.map(\.name) == ["images"])
    #expect(again.outputs[position].tolerance == nil)
    #expect(again.json["verdict"] == "different")
  }

  @Test("where the processor is another one, what is near enough is within a tolerance that is named")
  func tolerance() throws {
    let bench = try SmallWorkbench()
    var record = try bench.run(small)[0].record
    let position = try #require(record.outputs.firstIndex { $0.name == "metric.mean_pixel" })
    let bytes = try bench.store.objects.read(record.outputs[position].digest)
    let values = try JSON.parse(bytes, file: "values")
    let value = try #require(values.value(at: "values.0.value")?.number)
    let near = try values.setting("values.0.value", to: .number(value * 1.001))
    record.outputs[position].digest = try bench.store.objects.add(near.canonical())
    record.environment.processor = "Another Processor"
    record.environment.libraries["libpng"] = nil
    let again = try bench.runner().reproduce(bench.store.add(record))
    #expect(again.verdict == .withinTolerance)
    #expect(again.outputs[position].tolerance?.contains("2 %") == true)
    #expect(again.environment.map(\.name) == ["processor", "libpng"])
    #expect(again.environment.map(\.affectsResult) == [true, true])
    #expect(again.environment.last?.description.hasPrefix("libpng: absent -> ") == true)
    #expect(again.json["identical"] == false)

    let far = try values.setting("values.0.value", to: .number(value * 1.5))
    record.outputs[position].digest = try bench.store.objects.add(far.canonical())
    #expect(try bench.runner().reproduce(bench.store.add(record)).verdict == .different)
  }

  @Test("a base model that moved is found where the record says, one that changed is refused by the file that differs")
  func baseModel() throws {
    let bench = try SmallWorkbench()
    let outcome = try bench.run(smallBase)[0]
    var record = outcome.record
    record.experiment = try record.experiment.setting("base_model", to: "moved")
    #expect(try bench.runner().reproduce(bench.store.add(record)).verdict == .identical)

    let path = bench.modelFolder + "/vae/diffusion_pytorch_model.safetensors"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes[bytes.count - 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: path))
    let error = #expect(throws: ReproductionError.self) { try bench.runner().reproduce(outcome.run) }
    #expect(error?.description.contains("vae/diffusion_pytorch_model.safetensors differs") == true)
  }

  @Test("a run that loaded a file is refused when the file is another one now")
  func loadedFile() throws {
    let bench = try SmallWorkbench()
    try bench.run(with(small, "technique.config.save_path", "w.safetensors"))
    let loading = try with(small, "technique.config.load_path", "w.safetensors")
    let run = try bench.run(loading)[0].run
    #expect(try bench.runner().reproduce(run).verdict == .identical)
    try bench.run(with(with(small, "technique.config.save_path", "w.safetensors"), "technique.config.alpha", 7))
    let error = #expect(throws: ReproductionError.self) { try bench.runner().reproduce(run) }
    #expect(error?.description.contains("w.safetensors is not the file") == true)
  }

  @Test("a run that failed has nothing to reproduce")
  func failed() throws {
    let bench = try SmallWorkbench()
    let run = try bench.run(with(small, "technique.config.load_path", "missing.safetensors"))[0].run
    #expect(throws: ReproductionError.self) { try bench.runner().reproduce(run) }
  }

  @Test("a run that trained a model is sent to lethe train, and is no model to draw with")
  func training() throws {
    let bench = try SmallWorkbench()
    var record = try bench.run(smallBase)[0].record
    record.experiment = ["train": "shapes", "recipe": [:]]
    record.technique = "train"
    let run = try bench.store.add(record)
    let sentence = "run \(run.short) trained a model; lethe train shapes does that again"
    let reproducing = #expect(throws: ReproductionError.self) { try bench.runner().reproduce(run) }
    #expect(reproducing?.description == sentence)
    let drawing = #expect(throws: ReproductionError.self) { try bench.runner().model(of: run) }
    #expect(drawing?.description == sentence)
  }

  @Test("a run is found by its id, its config hash and its outputs")
  func names() throws {
    let bench = try SmallWorkbench()
    let first = try bench.run(small)[0]
    let second = try bench.run(small)[0]
    #expect(try bench.store.run(named: first.run.short) == first.run)
    #expect(try bench.store.run(named: second.record.configHash.short) == second.run)
    #expect(try bench.store.run(named: #require(first.output("edit")).hex) == second.run)
    #expect(throws: StoreError.self) { try bench.store.run(named: "0123456789") }
  }

  @Test("a past run's edited model draws the images that the run drew")
  func model() throws {
    let bench = try SmallWorkbench()
    let outcome = try bench.run(small)[0]
    let images = try #require(outcome.output("images"))
    let entry = try #require(ImageSet(images, from: bench.store.objects).entries.first)
    let (model, settings) = try bench.runner().model(of: outcome.run)
    let sampler = try Sampler(model, settings)
    var pictures: [RGBImage] = []
    try sampler.draw([entry.request]) { _, latents in pictures += sampler.pictures(latents) }
    let recorded = try ImageSet.picture(entry.digest, from: bench.store.objects)
    #expect(pictures.map(\.pixels) == [recorded.pixels])
  }

  @Test("of two base models with equal weights each has its own card")
  func cards() throws {
    let bench = try SmallWorkbench()
    let twin = bench.folder + "/models/twin"
    try FileManager.default.copyItem(atPath: bench.modelFolder, toPath: twin)
    let card = ModelCard(name: "twin", description: "", sampler: ModelCard.Sampler(steps: 2, guidanceScale: 2))
    try card.write(folder: twin)
    let runs = try [smallBase, with(smallBase, "base_model", "./models/twin")].map { try bench.run($0)[0].run }
    let runner = bench.runner()
    #expect(try runs.map { try runner.baseModel(of: $0).card?.name } == ["tiny", "twin"])
  }
}
