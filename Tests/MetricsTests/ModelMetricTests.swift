import Attacks
import Configuration
import Diffusion
import Erasure
import Metrics
import Tensors
import TestModels
import TestSupport
import Testing

/// The metrics that look into a model, on one with random weights.
@Suite(.serialized) struct ModelMetricTests {
  private let model: DiffusionModel
  private let sampler = SamplerSettings(steps: 3, guidanceScale: 3)

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func attack(tokens: Int) -> RandomTokensConfiguration {
    RandomTokensConfiguration(tokens: tokens, placement: .replace, tries: 1, triesPrompt: true)
  }

  /// As many prompts as outcomes, the adversarial prompt of each being "a".
  private func sensitivity(
    _ context: MetricContext, _ outcomes: AdversarialPrompt.Outcome...
  ) throws -> [MetricValue] {
    let metric = try configured(
      SensitivityConfiguration.self,
      ["attack": "random_tokens", "limit": .integer(outcomes.count), "neurons": 1, "parts": [0], "headline": 0])
    let targets = try #require(try metric.underAttack(context)).targets
    let found = zip(targets, outcomes).map { target, outcome in
      (target, AdversarialPrompt("a", loss: nil, iterations: 1, outcome: outcome))
    }
    let models = MeasuredModels(
      base: model, edited: model, pruned: PruningMask(), maskableElements: nil, sampler: sampler,
      prompts: Dictionary(uniqueKeysWithValues: found))
    return try metric.evaluate(models, context, monitor: WorkMonitor())
  }

  @Test func sensitivityIsMeasuredAlikeHoweverManySearchesWereNeeded() throws {
    try withScratchFolder { folder in
      var context = try SmallBaseModel(folder: folder).context(erasing: ["circle"])
      context.attacks = ["random_tokens": attack(tokens: 3)]
      let all = try sensitivity(context, .failed, .succeeded, .failed)
      let fewer = try sensitivity(context, .beforeAttack, .succeeded, .failed)
      #expect(all.map(\.name) == ["sensitivity", "sensitivity_others"])
      for (one, other) in zip(all, fewer) {
        #expect(one.count == 3 && other.count == 3)
        #expect(one.details["pairs"] == 3 && other.details["pairs"] == 2)
        #expect(one.settings == other.settings)
      }
      let words: JSON = ["name": "random_tokens", "config": attack(tokens: 3).encode(affectingResult: true)]
      #expect(all[0].settings["attack"] == words)
      context.attacks = ["random_tokens": attack(tokens: 5)]
      let longer = try sensitivity(context, .failed, .succeeded, .failed)
      #expect(longer[0].settings != all[0].settings)
    }
  }

  @Test func sensitivityIsTheMeanOverPairsWithAnIntervalOfTwoOrMore() throws {
    try withScratchFolder { folder in
      let small = try SmallBaseModel(folder: folder)
      var context = small.context(erasing: ["circle"])
      context.attacks = ["random_tokens": attack(tokens: 3)]
      let values = try sensitivity(context, .failed, .failed)
      let prompts = try #require(small.card.concept("circle")).prompts.prefix(2).map(\.text)
      let neurons = ConceptNeurons(
        prompts: prompts, samplesPerPrompt: 1, step: 0, sampler: sampler, seed: context.seed)
      let pairs = prompts.map { ConceptNeurons.PromptPair(prompt: $0, adversarial: "a") }
      // The edit is none, so that of each block the first neuron is taken for the concept's.
      let changes = try neurons.sensitivities(of: model, pairs).values.map { Double($0.values[0]) }
      let mean = changes.reduce(0, +) / Double(changes.count)
      #expect(mean > 0 && abs(values[0].value - mean) < 1e-5 * mean)
      for value in values {
        let interval = try #require(value.interval)
        #expect(interval.lower <= value.value && value.value <= interval.upper, "\(value.name): \(interval)")
      }
      let single = try sensitivity(context, .failed)
      #expect(single.map(\.interval) == [nil, nil])
    }
  }

  @Test func thePruneRatioCountsTheUNetWhateverMayBePrunedOfIt() throws {
    let weights = model.unetWeights
    let name = try #require(weights.names.first)
    let count = try #require(weights[name]).count
    var mask = PruningMask()
    mask.prune([0], of: name, count: count)
    let context = MetricContext(modelFolder: "nowhere", card: nil, seed: 0)
    for (maskable, expected) in [(10, 10), (nil, weights.parameterCount)] as [(Int?, Int)] {
      let models = MeasuredModels(
        base: model, edited: model, pruned: mask, maskableElements: maskable, sampler: sampler)
      let values = try PruneRatioConfiguration().evaluate(models, context, monitor: WorkMonitor())
      #expect(values.map(\.name) == ["prune_ratio", "prune_ratio_unet"])
      #expect(values.map(\.value) == [1 / Double(expected), 1 / Double(weights.parameterCount)])
      #expect(values.map(\.count) == [weights.parameterCount, weights.parameterCount])
      #expect(values[0].details["maskable"] == .integer(expected))
    }
  }
}
