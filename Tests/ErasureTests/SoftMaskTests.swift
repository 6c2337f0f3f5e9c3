import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct SoftMaskTests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func mask(
    _ group: ParameterGroup = .allButCrossAttention, threshold: Double = 0.5,
    _ granularity: SoftMaskSettings.Granularity = .element
  ) throws -> SoftMask {
    var settings = SoftMaskSettings()
    (settings.threshold, settings.granularity) = (threshold, granularity)
    return try SoftMask(settings, of: model.unetWeights, group: group)
  }

  private func prediction(_ model: DiffusionModel) -> Tensor {
    model.unet(
      RandomStream(seed: 2, "latent").normal([1, 4, 8, 8]), timesteps: [300],
      encoderHiddenStates: model.textEncoder([model.tokenizer.encode("a")]))
  }

  @Test func beginsAsTheOriginalModel() throws {
    let mask = try mask()
    let soft = try model.replacingUNetWeights(mask.masked(mask.start))
    #expect(relativeError(prediction(soft), prediction(model)) < 3e-4)
    #expect(mask.hardened(mask.start).isEmpty)
  }

  @Test func masksWeightsAndBiasesButNoNorms() throws {
    let names = try mask(.full).names
    #expect(names.contains("conv_in.weight") && names.contains("conv_in.bias"))
    #expect(!names.contains { $0.contains("norm") && !$0.contains("conv_in") })
    #expect(try !mask().names.contains { $0.contains("attn2") || $0.hasPrefix("conv_out") })
  }

  /// dL/dm = dL/dθ ⊙ θ0 ⊙ τ M (1 - M).
  @Test func passesTheGradientOfTheWeightOn() throws {
    let mask = try mask(.crossAttentionKeysValues)
    let name = mask.names[0]
    let weight = try #require(model.unetWeights[name])
    let stream = RandomStream(seed: 5, "mask")
    let (m, upstream) = (stream.normal(weight.shape) * 0.1, stream.item(1).normal(weight.shape))
    let tape = Tape()
    let tracked = tape.watch(m)
    var masks = mask.start
    masks[name] = tracked
    let masked = try #require(mask.masked(masks)[name])
    let gradient = tape.gradients(of: (masked * upstream).sum(), for: [tracked])[0]
    let soft = (m * 10).sigmoid()
    #expect(relativeError(masked.detached, weight * soft) < 1e-6)
    #expect(relativeError(gradient, upstream * weight * soft * (1 - soft) * 10) < 1e-5)
  }

  @Test func hardensAtTheThreshold() throws {
    func pruned(_ threshold: Double) throws -> [Int]? {
      let mask = try mask(threshold: threshold)
      var masks = mask.start
      let shape = try #require(masks["conv_in.bias"]).shape
      masks["conv_in.bias"] = Tensor([-1, 0, 1e-3, 0.1, 0.2, 0.3, 1, 2], shape: shape)
      return mask.hardened(masks).elements["conv_in.bias"]
    }
    // M > 1/2 exactly where m > 0; M > 0.8 where m > ln 4 / 10 = 0.139.
    #expect(try pruned(0.5) == [0, 1])
    #expect(try pruned(0.8) == [0, 1, 2, 3])
  }

  @Test func countsAgainstTheElementsThatHaveMasks() throws {
    let mask = try mask(.crossAttentionKeysValues)
    let name = mask.names[0]
    var pruned = PruningMask()
    let count = try #require(model.unetWeights[name]).count
    pruned.prune([0, 2], of: name, count: count)
    let figures = mask.figures(pruned)
    let maskable = mask.names.reduce(0) { $0 + (model.unetWeights[$1]?.count ?? 0) }
    #expect(figures["prune_ratio"]?.number == 2 / Double(maskable))
    #expect(figures["prune_ratio_of_unet"]?.number == 2 / Double(model.unetWeights.parameterCount))
    #expect(figures["prune_ratio_by_tensor"]?[name]?.number == 2 / Double(count))
  }

  @Test func findsGradientsBelowEpsilon() throws {
    let mask = try mask(.crossAttentionKeysValues)
    #expect(try mask.smallGradientShare(samples: 2) { _, masks in masks[mask.names[0]]!.sum() * 0 } == 1)
    let all = try mask.smallGradientShare(samples: 2) { _, masks in masks.values.reduce(Tensor(0)) { $0 + $1.sum() } }
    #expect(all == 0)
  }

  @Test func theGapIsZeroWhereSoftMasksAreHard() throws {
    let mask = try mask()
    var masks = mask.start.mapValues { Tensor.full(100, $0.shape) }
    masks["conv_in.bias"] = try #require(masks["conv_in.bias"]) * -1
    let points = try PartialTrajectory(model, steps: 2, startGuidance: 3).points(["a"], [RandomStream(seed: 1, "gap")])
    let states = [model.textEncoder([model.tokenizer.encode("a")])]
    #expect(try mask.outputGap(masks, model, at: points, states: states) < 1e-5)
    masks["conv_in.weight"] = Tensor.full(0.01, try #require(masks["conv_in.weight"]).shape)
    #expect(try mask.outputGap(masks, model, at: points, states: states) > 1e-3)
  }

  @Test func rowsShareOneMaskAndAreKeptOrPrunedTogether() throws {
    let mask = try mask(.crossAttentionKeysValues, .row)
    let name = mask.names[0]
    let weight = try #require(model.unetWeights[name])
    let (rows, width) = (weight.shape[0], weight.shape[1])
    #expect(mask.start[name]?.shape == [rows, 1])
    #expect(try self.mask(.full, .row).start["conv_in.weight"]?.shape == [8, 1, 1, 1])
    #expect(try self.mask(.full, .row).start["conv_in.bias"]?.shape == [8])

    // The gradient of a row is the sum of its elements'.
    let upstream = RandomStream(seed: 5, "upstream").normal(weight.shape)
    func gradient(_ granularity: SoftMaskSettings.Granularity) throws -> Tensor {
      let mask = try self.mask(.crossAttentionKeysValues, granularity)
      let tape = Tape()
      var masks = mask.start
      let m = tape.watch(try #require(masks[name]) * 0.1)
      masks[name] = m
      let masked = try #require(mask.masked(masks)[name])
      return tape.gradients(of: (masked * upstream).sum(), for: [m])[0]
    }
    let elements = try gradient(.element), shared = try gradient(.row)
    #expect(relativeError(shared, elements.sum(axis: 1, keepsAxis: true)) < 1e-5)

    var masks = mask.start
    let values: [Float] = (0..<rows).map { $0 == 1 || $0 == rows - 1 ? -1 : 1 }
    masks[name] = Tensor(values, shape: [rows, 1])
    let pruned = mask.hardened(masks)
    var positions = Array(width..<2 * width)
    positions += Array((rows - 1) * width..<rows * width)
    #expect(pruned.elements == [name: positions])
    #expect(pruned.counts[name] == weight.count)
    #expect(mask.hardened(mask.start).isEmpty)
    let soft = try model.replacingUNetWeights(mask.masked(mask.start))
    #expect(relativeError(prediction(soft), prediction(model)) < 3e-4)
    #expect(try mask.smallGradientShare(samples: 1) { _, masks in masks[name]!.sum() * 0 } == 1)
  }

  @Test func pesdLearnsMasksOfRows() throws {
    let technique = try pesd(["mask_granularity": "row"])
    let masks = try technique.estimates(seed: 1)[0].compute(EditContext(model: model, seed: 1))
    let edit = try technique.edit(EditContext(model: model, estimates: ["mask": masks], seed: 1))
    #expect(!edit.pruned.isEmpty)
    for (name, positions) in edit.pruned.elements {
      let weight = try #require(model.unetWeights[name])
      let width = weight.count / weight.shape[0]
      #expect(Set(positions.map { $0 / width }).count * width == positions.count, "\(name)")
    }
    #expect(try technique.estimates(seed: 1)[0].inputs != pesd().estimates(seed: 1)[0].inputs)
    #expect(throws: ConfigurationError.self) { try pesd(["mask_granularity": "rows"]) }
  }

  private func pesd(_ change: [String: JSON] = [:]) throws -> PESDConfiguration {
    let json: [String: JSON] = [
      "erase_concept": "a", "train_steps": 3, "batch_size": 2, "num_inference_steps": 2, "learning_rate": 0.5,
      "train_method": "xattn",
    ]
    return try PESDConfiguration.parse(.object(json.merging(change) { $1 }))
  }

  @Test func pesdPrunesAndIsTheSameForAnyNumberOfThreads() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    let technique = try pesd()
    func edit() throws -> ModelEdit {
      let masks = try technique.estimates(seed: 1)[0].compute(EditContext(model: model, seed: 1))
      return try technique.edit(EditContext(model: model, estimates: ["mask": masks], seed: 1))
    }
    Parallel.threadCount = 1
    let one = try edit()
    Parallel.threadCount = 3
    let three = try edit()
    #expect(!one.pruned.isEmpty && one.pruned == three.pruned && one.details == three.details)
    #expect(one.replacedUNetTensors.isEmpty)
    #expect(one.pruned.elements.keys.allSatisfy { $0.contains("attn2") })
    #expect(one.details["share_of_gradients_below_epsilon"] != nil && one.details["soft_hard_output_gap"] != nil)
    let edited = try one.applied(to: model)
    for (name, tensor) in edited.unetWeights.tensors where one.pruned.elements[name] == nil {
      #expect(model.unetWeights[name].map(bits) == bits(tensor))
    }
  }

  @Test func theThresholdIsNoInputOfTraining() throws {
    let plain = try pesd().estimates(seed: 1)[0].inputs
    #expect(try pesd(["threshold": 0.7]).estimates(seed: 1)[0].inputs == plain)
    #expect(try pesd(["temperature": 5]).estimates(seed: 1)[0].inputs != plain)
  }

  @Test func aLoadedMaskNeedsNoTraining() throws {
    let loading = try PESDConfiguration.parse(["load_path": "a.mask", "mask_init": 0.1])
    #expect(loading.estimates(seed: 1).isEmpty && loading.warnings.isEmpty)
    #expect(throws: ConfigurationError.self) { try PESDConfiguration.parse(["save_path": "a.safetensors"]) }
  }

  @Test func hasThePapersDefaults() throws {
    let defaults = PESDConfiguration().encode()
    #expect(defaults["target_form"] == "2023" && defaults["negative_guidance"] == 1 && defaults["learning_rate"] == 0.1)
    #expect(defaults["train_steps"] == 250 && defaults["temperature"] == 10 && defaults["sampled_model"] == "trained")
    #expect(try PESDConfiguration.parse(["mask_init": 0.1]).warnings.count == 1)
  }
}
