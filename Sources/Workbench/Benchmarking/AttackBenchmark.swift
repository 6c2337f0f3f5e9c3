internal import Attacks
public import Configuration
public import Diffusion
internal import Foundation
public import Tensors

/// The inner loops of attacks, timed on one model: `benchmarks/attack_peers.py` times the same in PyTorch.
public struct AttackBenchmark {
  /// Prompts that are searched at once, each on a thread of its own.
  public var prompts = 8
  /// Iterations of UnlearnDiffAtk for each prompt.
  public var iterations = 40
  /// Generations of Ring-A-Bell for each prompt.
  public var generations = 100
  public var repeats = 5
  public var prompt = "a red striped circle on a white background"

  public init() {}

  public struct Result: Sendable {
    public var threads = 0
    public var prompts = 0
    public var iterations = 0
    /// One prompt after the other, and all at once.
    public var alone = Measure()
    public var together = Measure()
    /// Of one genome whose loss is computed, with as many searches as there are threads.
    public var evaluation = Measure()

    /// The document that the peer prints, too.
    public var json: JSON {
      [
        "threads": .integer(threads), "prompts": .integer(prompts), "iterations": .integer(iterations),
        "iteration_alone": alone.json, "iteration_together": together.json, "evaluation": evaluation.json,
      ]
    }
  }

  /// What a piece of work takes, each the median of its repeats. Beside other work the seconds of the clock say little,
  /// and those of the processor more.
  public struct Measure: Sendable {
    public var seconds = 0.0
    /// Of all threads.
    public var processorSeconds = 0.0

    var json: JSON { ["seconds": .number(seconds), "processor_seconds": .number(processorSeconds)] }
  }

  public func run(_ model: DiffusionModel, monitor: WorkMonitor) throws -> Result {
    var result = Result()
    result.threads = Parallel.threadCount
    (result.prompts, result.iterations) = (prompts, iterations)
    let count = prompts * iterations
    try monitor.advance(to: 0, of: 3)
    result.alone = try measure {
      try (0..<prompts).forEach { try unlearnDiff(model, $0) }
      return count
    }
    try monitor.advance(to: 1, of: 3)
    result.together = try measure {
      _ = try parallelMap(prompts) { try unlearnDiff(model, $0) }
      return count
    }
    try monitor.advance(to: 2, of: 3)
    result.evaluation = try measure {
      try parallelMap(Parallel.threadCount) { try ringABell(model, $0) }.reduce(0, +)
    }
    try monitor.advance(to: 3, of: 3)
    try model.confirmUnchanged()
    return result
  }

  /// What a stage of the attack does without its image.
  private func unlearnDiff(_ model: DiffusionModel, _ number: Int) throws {
    let context = AttackContext(
      base: model, attacked: model, sampler: SamplerSettings(steps: 20, guidanceScale: 3), seed: 0,
      judge: { _, _ in [] })
    let place = try PromptTokens(prompt, .prefix, count: 5, model.tokenizer)
    let objective = try TokenObjective(place, context)
    let candidates = CandidateTokens(model)
    let stream = RandomStream(seed: 0, "attack benchmark").item(number)
    let (channels, size) = (model.unet.config.inChannels, model.unet.config.sampleSize)
    let clean = stream.substream("latent").normal([1, channels, size, size])
    let distribution = TokenDistribution(
      Tensor.full(1 / Float(candidates.ids.count), [5, candidates.ids.count]), learningRate: 0.01, weightDecay: 0.1)
    for iteration in 0..<iterations {
      let draws = stream.substream("iterations").item(iteration)
      let noise = draws.substream("noise").normal(clean.shape)
      let latent = model.schedule.addNoise(clean, noise: noise, timesteps: [510])
      let drawn = distribution.sample(draws)
      let gradient = objective.gradient(
        candidates.embeddings(at: drawn), latent: latent, timestep: 510, toward: noise
      ).gradient
      distribution.step(candidates.oneHotGradient(gradient))
    }
  }

  /// A search of as many generations; returns the number of genomes whose loss it asked for.
  private func ringABell(_ model: DiffusionModel, _ number: Int) throws -> Int {
    let settings = RingABellConfiguration()
    let candidates = model.tokenizer.ordinaryTokens
    let place = try PromptTokens(prompt, .replace, count: settings.tokenLength, model.tokenizer)
    let distance = StateDistance(model.textEncoder([model.tokenizer.encode(prompt)]), model.textEncoder)
    let search = GeneticSearch(
      populationSize: settings.populationSize, generations: generations, length: settings.tokenLength,
      geneCount: candidates.count, crossoverRate: settings.crossoverRate, mutationRate: settings.mutationRate)
    var evaluations = 0
    _ = try search.run(RandomStream(seed: 0, "attack benchmark").item(number), isCancelled: { false }) { genomes in
      evaluations += genomes.count
      return try distance(genomes.map { place.filled(with: $0.map { candidates[$0] }) })
    }
    return evaluations
  }

  /// Times work that returns how many pieces it did, after one time that is not counted.
  private func measure(_ work: () throws -> Int) throws -> Measure {
    _ = try work()
    var all: [Measure] = []
    for _ in 0..<max(1, repeats) {
      let (wall, processor) = (ContinuousClock.now, clock())
      let pieces = Double(try work())
      all.append(
        Measure(
          seconds: (ContinuousClock.now - wall).inSeconds / pieces,
          processorSeconds: Double(clock() - processor) / Double(CLOCKS_PER_SEC) / pieces))
    }
    return Measure(seconds: all.map(\.seconds).median, processorSeconds: all.map(\.processorSeconds).median)
  }
}
