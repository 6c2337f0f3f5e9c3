import Configuration
import Diffusion
import Foundation
import Store
import Tensors
import TestSupport
import Testing
import Workbench

/// Weights are read where their files lie: nothing that came of a model is kept once its files have changed.
@Suite("A model that changes while it is used")
struct ChangedModelTests {
  /// Writes over a model's weights. The bytes are the same, but nobody can know that of every moment.
  private func touch(_ folder: String) throws {
    let path = folder + "/unet/diffusion_pytorch_model.safetensors"
    try WholeFile.write([UInt8](Data(contentsOf: URL(fileURLWithPath: path))), to: path)
  }

  private let sentence = "unet/diffusion_pytorch_model.safetensors: changed while the model was being read"

  @Test("a picture that was purified meanwhile is refused")
  func purify() throws {
    let bench = try SmallWorkbench()
    let run = try bench.run(small)[0].run
    let picture = RGBImage(width: 32, height: 32, pixels: [UInt8](repeating: 90, count: 3 * 32 * 32))
    let runner = bench.runner()
    func purify(_ monitor: WorkMonitor) throws {
      _ = try runner.purify(picture, by: run, prompt: "a circle", invertsWithBase: true, monitor: monitor)
    }
    try purify(WorkMonitor())
    let error = #expect(throws: ModelFolderError.self) {
      try purify(WorkMonitor(progress: { done, _ in if done == 1 { try? touch(bench.modelFolder) } }))
    }
    #expect(error?.description.hasSuffix(sentence) == true)
  }

  @Test("a folder that was exported meanwhile is no model")
  func export() throws {
    let bench = try SmallWorkbench()
    let run = try bench.run(small)[0].run
    let runner = bench.runner()
    // The model is loaded, and stays so.
    _ = try runner.model(of: run)
    try touch(bench.modelFolder)
    let error = #expect(throws: ModelFolderError.self) { try runner.export(run, to: bench.folder + "/exported") }
    #expect(error?.description.hasSuffix(sentence) == true)
    #expect(!FileManager.default.fileExists(atPath: bench.folder + "/exported/model_index.json"))
  }

  @Test("weights that a run saved meanwhile are removed")
  func saved() throws {
    let bench = try SmallWorkbench()
    let document = try with(small, "technique.config.save_path", "w.safetensors")
    let monitor = RunMonitor(handle: { event in
      if case .stageFinished(let stage) = event, stage.name == "edit" { try? touch(bench.modelFolder) }
    })
    let outcome = try bench.run(document, monitor: monitor)[0]
    #expect(outcome.record.status == .failed)
    #expect(outcome.record.error?.hasSuffix(sentence) == true)
    #expect(!FileManager.default.fileExists(atPath: bench.folder + "/w.safetensors"))
  }

  @Test("what parts of it computed, and the time that one took, are refused")
  func parts() throws {
    try withScratchFolder { folder in
      let (model, inputs) = (folder + "/model", folder + "/inputs.safetensors")
      try FileManager.default.copyItem(atPath: Fixtures.path("tiny-diffusers"), toPath: model)
      try Safetensors.write([("decode.latents", Tensor.zeros([1, 4, 8, 8]))], to: inputs)
      let file = try SafetensorsFile(inputs)
      let computation = PartComputation([.vaeDecode])
      var benchmark = PartBenchmark(.vaeDecode)
      benchmark.repeats = 1
      _ = try computation.run(folder: model, inputs: file, monitor: WorkMonitor())
      let monitor = WorkMonitor(progress: { _, _ in try? touch(model) })
      let error = #expect(throws: ModelFolderError.self) {
        try computation.run(folder: model, inputs: file, monitor: monitor)
      }
      #expect(error?.description.hasSuffix(sentence) == true)
      let timed = #expect(throws: ModelFolderError.self) { try benchmark.run(folder: model, monitor: monitor) }
      #expect(timed?.description == error?.description)
    }
  }
}
