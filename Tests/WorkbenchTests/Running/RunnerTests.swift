import Configuration
import Diffusion
import Foundation
import Store
import Tensors
import Testing
import Workbench

@Suite("Running experiments")
struct RunnerTests {
  @Test("a cancelled run is recorded as interrupted, and the next one goes on to the bytes of an undisturbed one")
  func interruption() throws {
    let bench = try SmallWorkbench()
    let document = try with(small, "metrics.mean_pixel.config.limit", 6)
    var isCancelled = false
    let monitor = RunMonitor(
      handle: { event in
        // In the second batch of two: four of six images are missing.
        if case .progress("images", let fraction, _, _) = event, fraction > 0.34 { isCancelled = true }
      }, isCancelled: { isCancelled })
    let broken = try bench.run(document, Runner.Options(batchSize: 2), monitor: monitor)
    #expect(broken.map(\.record.status) == [.interrupted])
    #expect(broken[0].record.outputs.map(\.name) == ["fisher.forget", "fisher.retain", "edit"])
    let resumed = try bench.run(document, Runner.Options(batchSize: 2))[0]
    #expect(resumed.computed == ["images", "metric.mean_pixel"])
    #expect(resumed.drawn == 4)
    let undisturbed = try SmallWorkbench().run(document)[0]
    #expect(resumed.record.outputs == undisturbed.record.outputs)
  }

  @Test("points after an interruption are not begun")
  func interruptedSweep() throws {
    let bench = try SmallWorkbench()
    var isCancelled = false
    let monitor = RunMonitor(
      handle: { if case .stageFinished(let stage) = $0, stage.name == "edit" { isCancelled = true } },
      isCancelled: { isCancelled })
    let outcomes = try bench.run(with(small, "seeds", [1, 2, 3]), monitor: monitor)
    #expect(outcomes.map(\.record.status) == [.interrupted])
    #expect(try bench.store.runs.list().count == 1)
  }

  @Test("one failed point does not stop the others, and its record says why")
  func failure() throws {
    let bench = try SmallWorkbench()
    let document = try with(
      small, "sweep", ["technique.config.load_path": ["missing.safetensors", nil], "technique.config.alpha": [2]])
    let outcomes = try bench.run(document)
    #expect(outcomes.map(\.record.status) == [.failed, .finished])
    #expect(outcomes[0].record.error?.contains("missing.safetensors") == true)
    #expect(outcomes[0].json["status"] == "failed")
    #expect(try bench.store.runs.list().count == 2)
  }

  @Test("an object whose bytes were changed is an error that names it, and never a result")
  func damage() throws {
    let bench = try SmallWorkbench()
    let first = try bench.run(small)[0]
    let set = try ImageSet(#require(first.output("images")), from: bench.store.objects)
    let image = set.entries[1].digest
    try bench.damage(image)
    // The metric that is known already reads no image; another one does.
    #expect(try bench.run(small)[0].record.status == .finished)
    let more = try bench.run(with(small, "metrics", bothMetrics))[0]
    #expect(more.record.status == .failed)
    #expect(more.record.error?.contains(image.hex) == true)
  }

  @Test("without the cache everything is computed, nothing is overwritten, and other bytes are a conflict")
  func noCache() throws {
    let bench = try SmallWorkbench()
    let first = try bench.run(small)[0]
    let again = try bench.run(small, Runner.Options(readsCache: false))[0]
    #expect(again.computed.count == 5)
    #expect(again.record.outputs == first.record.outputs)
    #expect(again.conflicts.isEmpty)

    // Somebody else's result under the key of the edit.
    let other = try SmallWorkbench()
    let key = try #require(first.record.stages.first { $0.name == "edit" }?.key)
    let entry = try #require(try bench.store.cache.entry(key))
    let wrong = try other.store.objects.add("another edit")
    try other.store.cache.put(CacheEntry(key: entry.key, outputs: ["edit": wrong, "details": wrong], seconds: 1))
    let found = try other.run(small, Runner.Options(readsCache: false))[0]
    #expect(found.record.status == .finished)
    #expect(found.conflicts.map(\.recorded.outputs["edit"]) == [wrong])
    #expect(found.record.warnings.contains { $0.contains("came out otherwise") })
    #expect(try other.store.cache.conflicts().count == 1)
    #expect(try other.store.cache.entry(key)?.outputs["edit"] == wrong)
    #expect(found.record.outputs == first.record.outputs)
  }

  @Test("save_path is written on a cache hit too, and load_path takes the place of the edit")
  func saveAndLoad() throws {
    let bench = try SmallWorkbench()
    let saving = try with(small, "technique.config.save_path", "out/ssd.safetensors")
    let path = bench.folder + "/out/ssd.safetensors"
    let first = try bench.run(saving)[0]
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    try FileManager.default.removeItem(atPath: path)
    #expect(try bench.run(saving)[0].computed == [])
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)

    let loaded = try bench.run(with(small, "technique.config.load_path", "out/ssd.safetensors"))[0]
    #expect(loaded.computed == ["edit"])
    #expect(loaded.record.outputs.map(\.name) == ["edit", "images", "metric.mean_pixel"])
    #expect(loaded.output("edit") == first.output("edit"))
    #expect(loaded.output("images") == first.output("images"))
    #expect(loaded.record.configHash != first.record.configHash)
  }

  @Test("weights of another UNet are refused by file and name")
  func foreignWeights() throws {
    let bench = try SmallWorkbench()
    let path = bench.folder + "/foreign.safetensors"
    try Safetensors.write([("conv_in.weight", Tensor.zeros([1, 2]))], to: path)
    let outcome = try bench.run(with(small, "technique.config.load_path", .string(path)))[0]
    #expect(outcome.record.status == .failed)
    #expect(outcome.record.error?.hasPrefix(path) == true)
  }

  @Test("a record holds what is needed to understand and to repeat the run")
  func record() throws {
    let bench = try SmallWorkbench()
    let document = try with(with(small, "tags", ["quick"]), "sweep", ["technique.config.alpha": [5]])
    let record = try bench.run(document)[0].record
    #expect(record.name == "ssd")
    #expect(record.settings == ["technique.config.alpha": 5])
    #expect(record.experiment.value(at: "technique.config.num_inference_steps") == 2)
    #expect(record.tags == ["quick"])
    #expect(record.git.repository == .none)
    #expect(record.warnings.contains { $0.contains("no git repository") })
    #expect(record.environment.sources == SourceDigests.all)
    let base = try #require(record.stages.first)
    #expect(base.name == "base")
    #expect(base.details?["files"]?["unet/diffusion_pytorch_model.safetensors"]?.string?.count == 64)
    let edit = try #require(record.stages.first { $0.name == "edit" })
    #expect(edit.details?["mean_multiplier"]?.number ?? 2 < 1)
    #expect(try bench.store.index().list().map(\.status) == ["finished"])
  }

  @Test("an experiment in a repository records the commit and keeps the patch of what differs")
  func gitState() throws {
    let bench = try SmallWorkbench()
    let repository = try TemporaryRepository()
    try repository.write("ssd.json", "{}")
    try repository.commit()
    try repository.write("ssd.json", "{ }")
    let experiment = try Experiment(
      with(smallBase, "base_model", .string(bench.modelFolder)), file: repository.path + "/ssd.json",
      catalogue: .small)
    let runner = bench.runner()
    let record = try runner.run(runner.points(of: experiment))[0].record
    #expect(record.git.isDirty)
    let patch = try bench.store.objects.read(#require(record.git.patch))
    #expect(String(decoding: patch, as: UTF8.self).contains("+{ }"))
  }

  @Test("events tell of every stage, of progress and of the end")
  func events() throws {
    let bench = try SmallWorkbench()
    var started: [String] = []
    var finished: [String] = []
    var fractions: [Double] = []
    var ends = 0
    let monitor = RunMonitor(handle: { event in
      switch event {
      case .stageStarted(let name, _): started.append(name)
      case .stageFinished(let stage): finished.append(stage.name)
      case .progress("images", let fraction, _, _): fractions.append(fraction)
      case .runFinished: ends += 1
      default: break
      }
    })
    try bench.run(smallBase, monitor: monitor)
    #expect(started == ["edit", "images", "metric.mean_pixel"])
    #expect(finished == ["base", "edit", "images", "metric.mean_pixel"])
    #expect(fractions == fractions.sorted())
    #expect(fractions.last == 1)
    #expect(ends == 1)
  }

  @Test("a base model that is not there is refused with the nearest that is")
  func unknownBase() throws {
    let bench = try SmallWorkbench()
    try FileManager.default.copyItem(atPath: bench.modelFolder, toPath: bench.folder + "/store/models/tiny")
    #expect(try bench.run(with(smallBase, "base_model", "tiny"))[0].record.status == .finished)
    let error = #expect(throws: ConfigurationError.self) { try bench.run(with(smallBase, "base_model", "tinny")) }
    #expect(error?.description.contains("did you mean \"tiny\"?") == true)
    let folder = #expect(throws: ConfigurationError.self) { try bench.run(with(smallBase, "base_model", "./no")) }
    #expect(folder?.description.contains("model_index.json") == true)
  }
}
