import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct FisherInformationTests {
  private let model: DiffusionModel
  private let sampler = SamplerSettings(steps: 2, guidanceScale: 3)

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func diagonal(_ prompts: [String], samples: Int, seed: UInt64 = 3) throws -> [String: Tensor] {
    try FisherInformation(prompts: prompts, samplesPerPrompt: samples, sampler: sampler, seed: seed)
      .diagonal(model, monitor: WorkMonitor())
  }

  @Test func hasATensorOfNonNegativeValuesForEveryWeight() throws {
    let fisher = try diagonal(["a"], samples: 2)
    #expect(fisher.keys.sorted() == model.unetWeights.names)
    for (name, weight) in model.unetWeights.tensors {
      #expect(fisher[name]?.shape == weight.shape)
      #expect(fisher[name]?.values.allSatisfy { $0 >= 0 && $0.isFinite } == true)
    }
    #expect(fisher.values.contains { $0.largest > 0 })
  }

  @Test func gaussianLatentsNeedNoDrawingAndDoNotDependOnTheSampler() throws {
    func diagonal(steps: Int, _ source: FisherInformation.LatentSource) throws -> [[UInt32]] {
      let fisher = try FisherInformation(
        prompts: ["a"], samplesPerPrompt: 2, sampler: SamplerSettings(steps: steps, guidanceScale: 3), seed: 3,
        latentSource: source
      ).diagonal(model, monitor: WorkMonitor())
      return fisher.sorted { $0.key < $1.key }.map { bits($0.value) }
    }
    let gaussian = try diagonal(steps: 2, .gaussian)
    let again = try diagonal(steps: 1, .gaussian)
    #expect(gaussian == again)
    #expect(try gaussian != diagonal(steps: 2, .generated))
  }

  /// The mean of squares over two prompts is the mean of their means: it would not be if gradients were averaged
  /// before they are squared.
  @Test func averagesSquaresAndDoesNotSquareAverages() throws {
    let both = try diagonal(["a", "b"], samples: 3)
    let (a, b) = (try diagonal(["a"], samples: 3), try diagonal(["b"], samples: 3))
    for name in model.unetWeights.names {
      guard let sum = both[name], let first = a[name], let second = b[name] else { continue }
      #expect(relativeError(sum, (first + second) * 0.5) < 1e-5)
    }
  }

  @Test func isTheSameForAnyNumberOfThreads() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    Parallel.threadCount = 1
    let one = try diagonal(["a", "b"], samples: 3)
    Parallel.threadCount = 3
    let three = try diagonal(["a", "b"], samples: 3)
    for name in one.keys.sorted() { #expect(one[name].map(bits) == three[name].map(bits), "\(name)") }
  }

  @Test func dependsOnTheSeed() throws {
    let (a, b) = (try diagonal(["a"], samples: 1, seed: 1), try diagonal(["a"], samples: 1, seed: 2))
    #expect(a.keys.contains { a[$0].map(bits) != b[$0].map(bits) })
  }

  @Test func stopsWhenItIsAskedTo() throws {
    let monitor = WorkMonitor(isCancelled: { true })
    #expect(throws: CancellationError.self) {
      _ = try FisherInformation(prompts: ["a"], samplesPerPrompt: 4, sampler: sampler, seed: 0)
        .diagonal(model, monitor: monitor)
    }
  }

  @Test func ssdScalesEachWeightByItsMultiplierAndSaysHowMany() throws {
    let ssd = try SSDConfiguration.parse([
      "forget_prompts": ["a"], "retain_prompts": ["b"], "alpha": 2, "num_fisher_samples": 2, "num_inference_steps": 2,
    ])
    let estimates = ssd.estimates(seed: 5)
    #expect(estimates.map(\.name) == ["fisher.forget", "fisher.retain"])
    var found: [String: [String: Tensor]] = [:]
    for estimate in estimates { found[estimate.name] = try estimate.compute(EditContext(model: model, seed: 5)) }
    let edit = try ssd.edit(EditContext(model: model, estimates: found, seed: 5))
    let largest = found.values.flatMap(\.values).map(\.largest).max() ?? 0
    let dampening = Dampening(alpha: 2, coefficient: 1, floor: 1e-12 * largest)
    for (name, weight) in model.unetWeights.tensors {
      guard let forget = found["fisher.forget"]?[name], let retain = found["fisher.retain"]?[name] else { continue }
      let expected = weight * dampening.multipliers(forget: forget, retain: retain)
      #expect(edit.replacedUNetTensors[name].map(bits) == bits(expected))
    }
    #expect((edit.details["mean_multiplier"]?.number ?? 2) < 1)
  }

  @Test func alphaIsNoInputOfTheEstimatesAndRetainPromptsOnlyOfOne() throws {
    func inputs(_ json: JSON) throws -> [JSON] { try SSDConfiguration.parse(json).estimates(seed: 0).map(\.inputs) }
    let plain = try inputs(["forget_prompts": ["a"], "retain_prompts": ["b"]])
    #expect(try inputs(["forget_prompts": ["a"], "retain_prompts": ["b"], "alpha": 9, "dampening_coeff": 0.5]) == plain)
    let other = try inputs(["forget_prompts": ["a"], "retain_prompts": ["c"]])
    #expect(other[0] == plain[0] && other[1] != plain[1])
  }
}
