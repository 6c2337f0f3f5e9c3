import Attacks
import Configuration
import Diffusion
import Erasure
import Store
import Testing
import Workbench

@Suite("The time that plans tell")
struct PlanTimesTests {
  private func plan(_ bench: SmallWorkbench, _ document: JSON) throws -> Plan {
    try #require(try bench.runner().plansWithTimes(bench.points(document)).first)
  }

  private func estimate(_ plan: Plan, _ stage: String) throws -> TimeEstimate {
    try #require(plan.stages.first { $0.name == stage }?.estimate)
  }

  /// Seconds and work of the only entry of a stage.
  private func entry(_ bench: SmallWorkbench, _ stage: String) throws -> CacheEntry {
    let entries = try bench.store.cache.list().compactMap { try bench.store.cache.entry($0) }
    return try #require(entries.first { $0.key.stage == stage })
  }

  @Test("an empty store has the model's passes timed; what no pass tells of has no estimate; nothing is computed")
  func measured() throws {
    let bench = try SmallWorkbench()
    let plan = try plan(bench, small)
    for stage in ["fisher.forget", "fisher.retain", "images"] {
      let time = try estimate(plan, stage)
      #expect(time.basis == .measurement && (time.seconds ?? 0) > 0, "\(stage)")
    }
    #expect(try estimate(plan, "edit").seconds == 0)
    #expect(try estimate(plan, "metric.mean_pixel") == TimeEstimate.unknown)
    let total = [plan].expectedTime
    #expect(total.unknown == 1 && total.seconds > 0)
    #expect(try bench.store.cache.list().isEmpty)
    #expect(plan.json["stages"]?[1]?["estimated_from"] == "measurement")
    #expect(plan.json["stages"]?[5]?["estimated_seconds"] == .null)
    #expect(plan.json["stages_without_estimate"] == 1)
  }

  @Test("what the store has computed before tells of more of the same, and what the cache has takes no time")
  func past() throws {
    let bench = try SmallWorkbench()
    try bench.run(small)
    let same = try plan(bench, small)
    #expect(same.stages.dropFirst().allSatisfy { $0.estimate?.seconds == 0 && $0.estimate?.basis == .cache })
    #expect([same].expectedTime == (0, 0))

    // Ten times the noise samples: of one prompt a drawing of 2 steps and 2 texts, and a gradient for each sample.
    let fisher = try entry(bench, "fisher.forget")
    #expect(fisher.work == ["forwards": 4, "gradients": 1])
    let more = try plan(bench, with(small, "technique.config.num_fisher_samples", 10))
    let time = try estimate(more, "fisher.forget")
    #expect(time.basis == .past)
    #expect(abs((time.seconds ?? 0) - fisher.seconds * (4 + 3 * 10) / (4 + 3)) < 1e-6)

    // Two images more are an image's time twice, and judging six takes as long for each as judging four.
    let six = try plan(bench, with(small, "metrics.mean_pixel.config.limit", 6))
    let images = try bench.store.cache.list().compactMap { try bench.store.cache.entry($0) }
      .filter { $0.key.stage == "image" }
    #expect(images.allSatisfy { $0.work == ["forwards": 4, "decodings": 1] })
    #expect(abs((try estimate(six, "images").seconds ?? 0) - 2 * images.map(\.seconds).median) < 1e-6)
    let judging = try entry(bench, "metric.mean_pixel")
    #expect(judging.work == ["judgements": 4])
    #expect(abs((try estimate(six, "metric.mean_pixel").seconds ?? 0) - 1.5 * judging.seconds) < 1e-6)
  }

  @Test("telling the time changes no key, and points that share a stage count it once")
  func shared() throws {
    let bench = try SmallWorkbench()
    let points = try bench.points(with(small, "sweep", ["technique.config.alpha": [1, 2]]))
    let plans = try bench.runner().plansWithTimes(points)
    #expect(plans.map { $0.stages.map(\.key) } == (try points.map { try bench.runner().plan($0).stages.map(\.key) }))
    let forget = try estimate(plans[0], "fisher.forget").seconds ?? 0
    let fisher = try forget + (estimate(plans[0], "fisher.retain").seconds ?? 0)
    let both = plans.reduce(0) { $0 + [$1].expectedTime.seconds }
    #expect(abs(plans.expectedTime.seconds - (both - fisher)) < 1e-9)
  }

  @Test("what is timed is told before it is, with all that comes after, and a model is timed once")
  func progress() throws {
    let bench = try SmallWorkbench()
    var told: [TimingProgress] = []
    let times = ModelTimes { told.append($0) }
    let points = try bench.points(with(small, "sweep", ["technique.config.alpha": [1, 2]]))
    _ = try bench.runner().plansWithTimes(points, times: times)
    // Forward, gradient, decoding; no text is read by itself.
    #expect(told.count == 4)
    #expect(told.dropLast().allSatisfy { $0.model == "./models/tiny" && $0.expected > 0 && !$0.isDone })
    #expect(told.map { $0.after > 0 } == [true, true, false, false])
    #expect(told.last?.isDone == true)
    _ = try bench.runner().plansWithTimes(points, times: times)
    #expect(told.count == 4)
    // What bench prints beside them: texts are all that is left to time.
    let parts = try bench.runner().partTimes(of: points[0], in: times).json
    #expect(told.count == 6 && told[4].after == 0 && told[5].isDone)
    #expect((parts["gradient"]?.number ?? 0) > (parts["forward"]?.number ?? 0))
  }

  @Test("nothing is timed of what the cache has or the past tells of")
  func nothingTimed() throws {
    let bench = try SmallWorkbench()
    try bench.run(small)
    var told = 0
    let times = ModelTimes { _ in told += 1 }
    for document in [small, try with(small, "technique.config.num_fisher_samples", 10)] {
      _ = try bench.runner().plansWithTimes(bench.points(document), times: times)
    }
    #expect(told == 0)
  }

  @Test("of a run that only draws no gradient is timed")
  func drawing() throws {
    let bench = try SmallWorkbench()
    var told = 0
    let times = ModelTimes { _ in told += 1 }
    _ = try bench.runner().plansWithTimes(bench.points(smallBase), times: times)
    // Forward and decoding, and the end.
    #expect(told == 3)
  }

  @Test("another base model's past is not asked, and another technique's edit neither")
  func unlike() throws {
    let bench = try SmallWorkbench()
    try bench.run(small)
    let other = try plan(bench, with(small, "technique", ["name": "p_esd", "config": ["erase_concept": "circle"]]))
    #expect(try estimate(other, "edit").basis == .measurement)
    #expect(try estimate(other, "images").basis == .past)
  }

  @Test("every technique and every attack tells its work, but for an autoencoder that is to be trained")
  func everybody() throws {
    for case let type as any Technique.Type in Catalogue.standard.techniques.values {
      let technique = type.init()
      #expect(technique.editWork != nil, "\(type.name)")
      for estimate in technique.estimates(seed: 0) {
        #expect(estimate.work != nil, "\(type.name), \(estimate.name)")
      }
    }
    for case let type as any Attack.Type in Catalogue.standard.attacks.values {
      #expect(type.init().work(drawing: ModelWork(forwards: 100)) != nil, "\(type.name)")
    }
  }

  @Test("the counts of trainings are those of their loops")
  func counts() throws {
    var esd = ESDConfiguration()
    (esd.training.trainSteps, esd.training.batchSize) = (2, 3)
    esd.generation.numInferenceSteps = 4
    // 0 to 3 steps of two texts, which is 3 passes in the mean, the target's two, and a gradient.
    #expect(esd.estimates(seed: 0).first?.work == ModelWork(forwards: 30, gradients: 6))
    var ssd = SSDConfiguration()
    (ssd.forgetPrompts, ssd.numFisherSamples, ssd.latentSource) = (["a", "b"], 5, .gaussian)
    #expect(ssd.estimates(seed: 0).first?.work == ModelWork(gradients: 10))
    let attack = UnlearnDiffConfiguration()
    // Ten stages of 40 iterations; the images of the stages, of the prompt and of the base model.
    #expect(attack.work(drawing: ModelWork(decodings: 1)) == ModelWork(forwards: 200, gradients: 200, decodings: 12))
    let genetic = try #require(RingABellConfiguration().work(drawing: .nothing))
    #expect(genetic == ModelWork(encodings: 375_075))
  }
}
