import Configuration
import Foundation
import Store
import Tensors
import Testing
import Workbench

@Suite("What the cache answers")
struct CacheTests {
  @Test("the same experiment again computes nothing and makes a new record with the same outputs")
  func again() throws {
    let bench = try SmallWorkbench()
    let first = try bench.run(small)[0]
    #expect(first.record.status == .finished, "\(first.record.error ?? "")")
    #expect(first.computed == ["fisher.forget", "fisher.retain", "edit", "images", "metric.mean_pixel"])
    #expect(first.drawn == 4)
    let second = try bench.run(small)[0]
    #expect(second.computed == [])
    #expect(second.run != first.run)
    #expect(second.record.configHash == first.record.configHash)
    #expect(second.record.outputs == first.record.outputs)
    #expect(second.record.metrics == first.record.metrics)
    #expect(try bench.store.run(second.run) == second.record)
  }

  @Test("another alpha recomputes no Fisher estimate, other prompts only the estimate they belong to")
  func settings() throws {
    let bench = try SmallWorkbench()
    let first = try bench.run(small)[0]
    let alpha = try bench.run(with(small, "technique.config.alpha", 9))[0]
    #expect(alpha.computed == ["edit", "images", "metric.mean_pixel"])
    #expect(alpha.output("edit") != first.output("edit"))
    let retain = try bench.run(with(small, "technique.config.retain_prompts", ["a square", "a dog"]))[0]
    #expect(retain.computed == ["fisher.retain", "edit", "images", "metric.mean_pixel"])
    #expect(retain.output("fisher.forget") == first.output("fisher.forget"))
    #expect(retain.output("fisher.retain") != first.output("fisher.retain"))
  }

  @Test("one more metric computes that metric only, a larger limit draws only the new images")
  func metrics() throws {
    let bench = try SmallWorkbench()
    try bench.run(small)
    let more = try bench.run(with(small, "metrics", bothMetrics))[0]
    #expect(more.computed == ["metric.pixel_spread"])
    #expect(more.record.metrics.map(\.name) == ["mean_pixel", "pixel_spread"])
    let larger = try bench.run(with(small, "metrics.mean_pixel.config.limit", 7))[0]
    #expect(larger.computed == ["images", "metric.mean_pixel"])
    #expect(larger.drawn == 3)
    #expect(larger.record.metrics[0].count == 7)
  }

  @Test("an edit that changes nothing shares its images with the base model")
  func emptyEdit() throws {
    let bench = try SmallWorkbench()
    let base = try bench.run(smallBase)[0]
    #expect(base.record.status == .finished, "\(base.record.error ?? "")")
    // So weak a dampening that no weight is another number afterwards.
    let weak = try with(with(small, "technique.config.dampening_coeff", 1e-12), "technique.config.alpha", 1e-9)
    let edited = try bench.run(weak)[0]
    // A metric may ask which concept is erased, so its value is not shared.
    #expect(edited.computed == ["fisher.forget", "fisher.retain", "edit", "metric.mean_pixel"])
    #expect(edited.output("edit") == base.output("edit"))
    #expect(edited.output("images") == base.output("images"))
  }

  @Test("another scheduler draws images of its own, and the folder's own by its name draws none")
  func schedulers() throws {
    let bench = try SmallWorkbench()
    let silent = try bench.run(smallBase)[0]
    let named = try bench.run(with(smallBase, "technique.config.scheduler", "ddim"))[0]
    #expect(!named.computed.contains("images") && named.output("images") == silent.output("images"))
    #expect(named.record.metrics[0].measurement?.sampler == "DDIM")
    let euler = try bench.run(with(smallBase, "technique.config.scheduler", "euler"))[0]
    #expect(euler.record.status == .finished, "\(euler.record.error ?? "")")
    #expect(euler.computed.contains("images") && euler.output("images") != silent.output("images"))
    #expect(euler.record.metrics[0].measurement?.sampler == "Euler")
    let noisy = try bench.run(with(smallBase, "technique.config.eta", 0.5))[0]
    #expect(noisy.output("images") != silent.output("images"))
    #expect(noisy.record.metrics[0].measurement?.sampler == "DDIM with eta 0.5")
  }

  @Test("half-precision weights change the images and no estimate or edit")
  func halfPrecision() throws {
    let bench = try SmallWorkbench()
    let half = try bench.run(small)[0]
    let full = try bench.run(with(small, "technique.config.use_fp16", false))[0]
    #expect(full.computed == ["images", "metric.mean_pixel"])
    #expect(full.output("edit") == half.output("edit"))
    #expect(full.output("images") != half.output("images"))
  }

  @Test("neither the number of threads nor the batch size changes a byte")
  func threadsAndBatches() throws {
    let one = try SmallWorkbench()
    let reference = try one.run(small, Runner.Options(batchSize: 1))[0]
    let threads = Parallel.threadCount
    Parallel.threadCount = 1
    defer { Parallel.threadCount = threads }
    let other = try SmallWorkbench()
    let outcome = try other.run(small, Runner.Options(batchSize: 3))[0]
    #expect(outcome.record.outputs == reference.record.outputs)
    #expect(outcome.record.configHash == reference.record.configHash)
    #expect(outcome.record.stages.map(\.key) == reference.record.stages.map(\.key))
  }

  @Test("a base model whose weights change is another model to every key, and to the config hash")
  func baseModel() throws {
    let bench = try SmallWorkbench()
    let first = try bench.run(smallBase)[0]
    let path = bench.modelFolder + "/unet/diffusion_pytorch_model.safetensors"
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes[bytes.count - 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: path))
    let second = try bench.run(smallBase)[0]
    #expect(second.computed == ["edit", "images", "metric.mean_pixel"])
    #expect(second.record.configHash != first.record.configHash)
    #expect(Set(second.record.stages.map(\.key)).isDisjoint(with: first.record.stages.map(\.key)))
  }

  @Test("a judge that changes recomputes its metric only")
  func judge() throws {
    let bench = try SmallWorkbench()
    let document = try with(small, "metrics", bothMetrics)
    try bench.run(document)
    // A file that the model itself does not read.
    try "other".write(toFile: bench.modelFolder + "/scheduler/notes.md", atomically: true, encoding: .utf8)
    #expect(try bench.run(document)[0].computed == ["metric.pixel_spread"])
  }

  @Test(
    "an edit to code that computes invalidates what depends on it, and one elsewhere nothing",
    arguments: [
      ("Tensors/Tape.swift", ["fisher.forget", "fisher.retain", "edit", "images", "metric.mean_pixel"]),
      ("Erasure/Techniques/SSD.swift", ["fisher.forget", "fisher.retain", "edit"]),
      ("Erasure/Importance/FisherInformation.swift", ["fisher.forget", "fisher.retain", "edit"]),
      ("Shapes/World/Drawing.swift", ["metric.mean_pixel"]),
      ("Erasure/Techniques/Base.swift", []), ("Workbench/Running/Runner.swift", []), ("Store/Store.swift", []),
    ] as [(String, [String])])
  func code(file: String, expected: [String]) throws {
    let bench = try SmallWorkbench()
    try bench.run(small)
    let code = ComputingCode.current
    var files = code.files
    _ = try #require(files[file])
    files[file] = Digest(hashing: "another text of \(file)")
    let changed = try bench.run(small, code: ComputingCode(files: files, blas: code.blas))[0]
    #expect(changed.computed == expected)
  }

  @Test("a source file that moves to another folder of its room changes no key")
  func movedFile() throws {
    let bench = try SmallWorkbench()
    try bench.run(small)
    let code = ComputingCode.current
    var files = code.files
    let moved = try #require(files.removeValue(forKey: "Erasure/Importance/FisherInformation.swift"))
    files["Erasure/Elsewhere/FisherInformation.swift"] = moved
    #expect(try bench.run(small, code: ComputingCode(files: files, blas: code.blas))[0].computed.isEmpty)
  }

  @Test("a technique by another of its names is the same edit")
  func alias() throws {
    let bench = try SmallWorkbench()
    try bench.run(smallBase)
    #expect(try bench.run(with(smallBase, "technique.name", "free_run"))[0].computed.isEmpty)
  }

  @Test("another version or core type of OpenBLAS is another key for all that computes")
  func blas() throws {
    let bench = try SmallWorkbench()
    try bench.run(smallBase)
    let code = ComputingCode(files: ComputingCode.current.files, blas: ["version": "0.1", "core": "Z80"])
    #expect(try bench.run(smallBase, code: code)[0].computed == ["edit", "images", "metric.mean_pixel"])
  }
}
