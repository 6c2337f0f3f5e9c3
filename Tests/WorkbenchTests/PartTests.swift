import Configuration
import Diffusion
import Foundation
import Tensors
import TestSupport
import Testing
import Workbench

@Suite("Parts of a model alone")
struct PartTests {
  private let folder = Fixtures.path("tiny-diffusers")

  private func inputs(_ tensors: [String: Tensor]) throws -> SafetensorsFile {
    let path = NSTemporaryDirectory() + "/lethe-parts-\(UUID().uuidString).safetensors"
    // Once it is mapped, the file needs no name.
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Safetensors.write(tensors.map { (name: $0.key, tensor: $0.value) }, to: path)
    return try SafetensorsFile(path)
  }

  @Test("what parts compute from a file is what diffusers computed")
  func parity() throws {
    let reference = try Fixtures.tensors("reference.safetensors")
    let prompts = try #require(JSON.read(Fixtures.path("reference.json"))["tokens"]?.array).prefix(3)
    let ids = prompts.flatMap { $0["ids"]?.array?.compactMap(\.integer) ?? [] }
    let file = try inputs(
      [
        "text.ids": Tensor(ids.map(Float.init), shape: [3, ids.count / 3]),
        "unet.latents": reference.tensor("unet.sample"), "unet.timesteps": reference.tensor("unet.timesteps"),
        "unet.states": reference.tensor("unet.hidden"), "decode.latents": reference.tensor("vae.latents"),
        "encode.images": reference.tensor("vae.images"),
      ])
    let outputs = try PartComputation([.text, .unet, .vaeDecode, .vaeEncode])
      .run(folder: folder, inputs: file, monitor: WorkMonitor())
    let names = [
      "text.states": "text.hidden", "unet.noise": "unet.output", "decode.images": "vae.decoded",
      "encode.mean": "vae.mean", "encode.logvar": "vae.logvar",
    ]
    #expect(outputs.map(\.name).sorted() == names.keys.sorted())
    for (name, tensor) in outputs {
      let expected = try reference.tensor(try #require(names[name]))
      #expect(relativeError(tensor, expected) <= 1e-4, "\(name)")
    }
  }

  @Test("a guided step and the gradients of named weights are those of the sampler's and the trainer's own arithmetic")
  func stepAndGradients() throws {
    let stream = RandomStream(seed: 3, "parts")
    let (latents, noise) = (stream.item(0).normal([1, 4, 8, 8]), stream.item(1).normal([1, 4, 8, 8]))
    let states = stream.item(2).normal([2, 16, 20])
    let name = "conv_in.weight"
    let file = try inputs(
      [
        "step.latents": latents, "step.states": states, "step.timestep": Tensor([501], shape: [1]),
        "step.steps": Tensor([50], shape: [1]), "step.guidance_scale": Tensor([7.5], shape: [1]),
        "gradients.latents": latents, "gradients.noise": noise, "gradients.timesteps": Tensor([37], shape: [1]),
        "gradients.states": states.slice(axis: 0, 0..<1),
      ])
    let outputs = try PartComputation([.step, .gradients], gradientsOf: [name])
      .run(folder: folder, inputs: file, monitor: WorkMonitor())
    #expect(outputs.map(\.name) == ["step.latents", "gradients.loss", "gradients.\(name)"])

    let model = try DiffusionModel(folder: folder)
    func predicted(_ half: Int) -> Tensor {
      model.unet(latents, timesteps: [501], encoderHiddenStates: states.slice(axis: 0, half..<half + 1))
    }
    let guided = predicted(0) + (predicted(1) - predicted(0)) * 7.5
    let scheduler = DDIMScheduler(model.architecture.scheduler)
    let next = scheduler.step(guided, sample: latents, timestep: 501, steps: 50)
    #expect(relativeError(outputs[0].tensor, next) <= 1e-5)

    let tape = Tape()
    let tracked = model.unetWeights.tracked(on: tape)
    let noisy = model.schedule.addNoise(latents, noise: noise, timesteps: [37])
    let unet = try UNet2DConditionModel(model.unet.config, tracked)
    let loss = mseLoss(
      unet(noisy, timesteps: [37], encoderHiddenStates: states.slice(axis: 0, 0..<1)), noise)
    let weight = try #require(tracked[name])
    #expect(relativeError(outputs[1].tensor, loss) <= 1e-6)
    #expect(relativeError(outputs[2].tensor, tape.gradients(of: loss, for: [weight])[0]) <= 1e-6)
  }

  @Test("an input that does not fit the model is refused by name")
  func refused() throws {
    func message(_ part: PartComputation.Part, _ tensors: [String: Tensor], of names: [String] = []) throws -> String {
      let file = try inputs(tensors)
      do {
        _ = try PartComputation([part], gradientsOf: names).run(folder: folder, inputs: file, monitor: WorkMonitor())
        return "nothing was refused"
      } catch {
        return "\(error)"
      }
    }
    #expect(try message(.text, ["text.ids": .zeros([1, 5])]).contains("'text.ids' has the shape [1, 5]"))
    #expect(try message(.text, ["text.ids": .full(0.5, [1, 16])]).contains("'text.ids' has the value 0.5"))
    #expect(try message(.text, ["text.id": .zeros([1, 16])]).contains("(is it 'text.id'?)"))
    #expect(try message(.vaeDecode, ["decode.latents": .zeros([1, 3, 8, 8])]).contains("[any, 4, any, any]"))
    #expect(try message(.vaeEncode, ["encode.images": .zeros([1, 3, 30, 32])]).contains("multiples of 4"))
    #expect(
      try message(.gradients, ["gradients.latents": .zeros([1, 4, 8, 8])], of: ["conv_in.wieght"])
        .contains("has no weight 'conv_in.wieght'"))
  }

  @Test("a part is timed with its memory and its arithmetic", arguments: PartBenchmark.Work.allCases)
  func benchmark(_ work: PartBenchmark.Work) throws {
    var benchmark = PartBenchmark(work)
    benchmark.repeats = 1
    let result = try benchmark.run(folder: folder, monitor: WorkMonitor())
    #expect(result.latentSize == 8)
    #expect(result.batch == (work == .unetForward ? 2 : 1))
    #expect(result.operations == [.unetForward: 15_864_064, .unetGradient: 23_796_096, .vaeDecode: 19_859_456][work])
    #expect(result.seconds > 0)
    #expect(result.share > 0)
    #expect(result.peakBytes ?? 1 > 0)
  }

  @Test("a part is timed in turn with itself on one thread")
  func scaling() throws {
    var benchmark = PartBenchmark(.unetForward)
    benchmark.repeats = 1
    #expect(try benchmark.run(folder: folder, monitor: WorkMonitor()).gainOfThreads == nil)
    benchmark.comparesWithOneThread = true
    let result = try benchmark.run(folder: folder, monitor: WorkMonitor())
    let alone = try #require(result.secondsOnOneThread)
    #expect(result.gainOfThreads == alone / result.seconds)
  }

  @Test("latents that a UNet cannot halve often enough are refused")
  func size() {
    var benchmark = PartBenchmark(.unetForward)
    benchmark.latentSize = 6
    let error = #expect(throws: BenchmarkError.self) { try benchmark.run(folder: folder, monitor: WorkMonitor()) }
    #expect(error?.description == "latents of 6x6: a multiple of 4 was expected")
  }

  @Test("a roofline has all the arithmetic of a pass, and refuses one that is no forward pass")
  func roofline() throws {
    var roofline = Roofline()
    roofline.repeats = 1
    let result = try roofline.run(folder: folder, monitor: WorkMonitor())
    let config = try UNetConfig(ConfigurationFile(path: folder + "/unet/config.json"))
    let arithmetic = config.arithmetic(batch: 2, height: 8, width: 8)
    #expect(result.operations == arithmetic.operations)
    #expect(result.bytes == arithmetic.bytes)
    #expect(result.rows.reduce(0) { $0 + $1.count } == arithmetic.layers.count)
    #expect(result.rows.map(\.seconds) == result.rows.map(\.seconds).sorted(by: >))
    roofline.work = .unetGradient
    #expect(throws: BenchmarkError.self) { try roofline.run(folder: folder, monitor: WorkMonitor()) }
  }
}
