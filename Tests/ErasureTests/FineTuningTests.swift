import Diffusion
import Erasure
import Foundation
import TestSupport
import Tensors
import Testing

@Suite struct FineTuningTests {
  private let model: DiffusionModel
  private let start = ["w": Tensor([4, -3, 2], shape: [3])]

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  /// Fits w to noisy ones; the noise depends on step and sample alone.
  private func train(_ steps: Int, _ monitor: WorkMonitor = WorkMonitor(), stateFile: String? = nil) throws -> [Float] {
    let context = EditContext(model: model, seed: 1, monitor: monitor, stateFile: stateFile)
    let tuning = FineTuning(steps: steps, learningRate: 0.1, batchSize: 3)
    let result = try tuning.run(context, start: start, prepare: { step, _ in step }) {
      step, sample, prepared, tensors in
      #expect(prepared == step)
      let noise = RandomStream(seed: 1, "noise").item(step * 3 + sample).normal([3])
      return mseLoss(try #require(tensors["w"]), noise * 0.01 + 1)
    }
    return try #require(result.tensors["w"]).values
  }

  @Test func goesDownhillAndTellsTheLossOfEveryStep() throws {
    var losses: [Float] = []
    let end = try train(150, WorkMonitor(loss: { losses.append($0) }))
    #expect(losses.count == 150 && losses[149] < 0.01 * losses[0])
    #expect(end.allSatisfy { abs($0 - 1) < 0.1 })
  }

  @Test func goesOnFromAnInterruptionToTheSameBytes() throws {
    try withScratchFolder { folder in
      let file = folder + "/state.safetensors"
      var steps = 0
      let monitor = WorkMonitor(loss: { _ in steps += 1 }, isCancelled: { steps == 7 })
      #expect(throws: CancellationError.self) { try train(20, monitor, stateFile: file) }
      #expect(FileManager.default.fileExists(atPath: file))
      let (resumed, undisturbed) = (try train(20, stateFile: file), try train(20))
      #expect(resumed == undisturbed)
    }
  }

  @Test func isTheSameForAnyNumberOfThreads() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    Parallel.threadCount = 1
    let one = try train(5)
    Parallel.threadCount = 3
    let three = try train(5)
    #expect(three == one)
  }

  @Test func endsWithASentenceWhereTheLossIsNoNumber() {
    let tuning = FineTuning(steps: 3, learningRate: 0.1)
    #expect(throws: ErasureError.self) {
      try tuning.run(EditContext(model: model, seed: 0), start: start, prepare: { _, _ in () }) { _, _, _, tensors in
        (tensors["w"] ?? Tensor(0)).sum() * .nan
      }
    }
  }
}
