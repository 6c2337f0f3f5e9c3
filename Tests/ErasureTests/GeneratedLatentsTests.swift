import Diffusion
import Erasure
import Foundation
import TestSupport
import Tensors
import Testing

@Suite struct GeneratedLatentsTests {
  private let model: DiffusionModel
  private let images = GeneratedLatents(
    prompts: ["a", "a star"], count: 20, sampler: SamplerSettings(steps: 1, guidanceScale: 1), seed: 3)

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  /// - Returns: the latents, and after how many images it told of progress
  private func draw(stateFile: String? = nil, stoppingAt last: Int = .max) throws -> (latents: Tensor, told: [Int]) {
    var told: [Int] = []
    let monitor = WorkMonitor(
      progress: { done, _ in told.append(done) }, isCancelled: { told.last.map { $0 >= last } ?? false })
    let context = EditContext(model: model, seed: 3, monitor: monitor, stateFile: stateFile)
    let tensors = try images.estimate(named: "images").compute(context)
    return (try #require(tensors["latents"]), told)
  }

  @Test func `what was drawn before an interruption is kept, and the rest drawn to the same bytes`() throws {
    try withScratchFolder { folder in
      let file = folder + "/state/state.safetensors"
      #expect(throws: CancellationError.self) { try draw(stateFile: file, stoppingAt: 16) }
      #expect(try SafetensorsFile(file).shape(of: "latents") == [16, 4, 8, 8])
      let resumed = try draw(stateFile: file)
      #expect(resumed.told == [20])
      let undisturbed = try draw()
      #expect(undisturbed.told == [16, 20])
      #expect(resumed.latents.shape == [20, 4, 8, 8] && bits(resumed.latents) == bits(undisturbed.latents))
      // All are there: nothing is left to draw.
      let again = try draw(stateFile: file)
      #expect(again.told == [] && bits(again.latents) == bits(undisturbed.latents))
    }
  }

  @Test func `a state that cannot be read is an error that names the file`() throws {
    try withScratchFolder { folder in
      let file = folder + "/state.safetensors"
      try Data("no tensors".utf8).write(to: URL(fileURLWithPath: file))
      let error = #expect(throws: SafetensorsError.self) { try draw(stateFile: file) }
      #expect("\(String(describing: error))".contains(file))
    }
  }
}
