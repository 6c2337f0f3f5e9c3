public import Configuration
public import Diffusion
internal import Erasure
public import Store
internal import Tensors

/// What would not fit into the memory that a command was given, in one sentence.
public struct MemoryError: Error, Equatable, CustomStringConvertible {
  public let description: String
}

/// The memory that one process may take. What bounds it, and changes no result, is chosen for it: first checkpoints on
/// the way back, then how many samples' gradients are held and how many images are drawn at a time.
///
/// The choice holds for the process (`Checkpointing`, `MemoryLimits`) and suits all that was asked for: to fit one
/// stage more never undoes what another needs.
public struct MemoryBudget {
  public let limit: ByteCount

  public init(_ limit: ByteCount) { self.limit = limit }

  /// A stage that draws.
  ///
  /// - Parameters:
  ///   - images: as many as would be drawn at a time without a budget
  ///   - need: bytes, for so many at a time
  /// - Throws: ``MemoryError`` where not even one image fits.
  func fit(_ stage: String, images: Int, need: (Int) -> Int) throws {
    var images = min(images, MemoryLimits.images)
    while images > 1, need(images) > limit.bytes { images /= 2 }
    try refuse(stage, unless: need(images))
    MemoryLimits.images = min(MemoryLimits.images, images)
  }

  /// A stage that goes back through the UNet.
  ///
  /// - Parameters:
  ///   - samples: as many gradients as would be held at a time without a budget
  ///   - need: bytes, for so many at a time
  /// - Throws: ``MemoryError`` where not even one sample fits.
  func fit(_ stage: String, samples: Int, need: (Int, Checkpointing) -> Int) throws {
    var (samples, checkpointing) = (min(samples, MemoryLimits.gradients), Checkpointing.current)
    // Of maps that are small beside the weights a repeated block may take more than what it saves.
    if need(samples, checkpointing) > limit.bytes, need(samples, .always) < need(samples, checkpointing) {
      checkpointing = .always
    }
    while samples > 1, need(samples, checkpointing) > limit.bytes { samples -= 1 }
    try refuse(stage, unless: need(samples, checkpointing))
    Checkpointing.current = checkpointing
    MemoryLimits.gradients = min(MemoryLimits.gradients, samples)
  }

  /// - Throws: ``MemoryError`` where `need` bytes are more than there are.
  func refuse(_ stage: String, unless need: Int) throws {
    guard need > limit.bytes else { return }
    throw MemoryError(
      description: "\(stage) would need \(ByteCount(need)) of memory at least, and --memory gives it \(limit)")
  }
}

extension MemoryBudget {
  /// Pictures that are drawn by hand with a model in float32.
  ///
  /// - Throws: ``MemoryError``, or the error of a folder that cannot be read.
  public func fitDrawing(_ count: Int, _ settings: SamplerSettings, folder: String) throws {
    let estimate = try MemoryEstimate(folder: folder)
    try fit("drawing", images: min(count, PictureOrder.batchSize)) {
      estimate.drawing(images: $0, texts: settings.isGuided ? 2 : 1, settings, half: false)
    }
  }

  /// A part that is timed.
  ///
  /// - Throws: ``MemoryError``, or the error of a folder that cannot be read.
  public func fit(_ benchmark: PartBenchmark, folder: String) throws {
    let estimate = try MemoryEstimate(folder: folder)
    try fit(benchmark.work.rawValue, samples: 1) { _, checkpointing in estimate.bytes(of: benchmark, checkpointing) }
  }
}

extension Runner {
  /// The same for a past run that is about to be reproduced, with nothing answered by the cache.
  ///
  /// - Throws: what ``fit(_:into:)`` does, ``ReproductionError``.
  public func fit(reproducing run: Digest, into budget: MemoryBudget) throws {
    let isolated = Runner(
      store: store, locations: locations, catalogue: catalogue, code: code,
      options: Options(readsCache: false, batchSize: options.batchSize))
    try isolated.fit([isolated.point(of: store.run(run), run: run)], into: budget)
  }

  /// The same for pictures that the edited model of a past run is about to draw.
  ///
  /// - Throws: ``MemoryError``, ``ReproductionError``.
  public func fit(drawing count: Int, by run: Digest, into budget: MemoryBudget) throws {
    let stages = try stages(of: point(of: store.run(run), run: run))
    let estimate = try MemoryEstimate(folder: stages.base.folder)
    try budget.fit("drawing", images: min(count, PictureOrder.batchSize)) {
      estimate.drawing(
        images: $0, texts: stages.technique.textsPerStep, stages.technique.samplerSettings,
        half: stages.technique.generation.useFP16)
    }
  }

  /// Chooses what bounds the memory of points that are about to run, so that each stage that the cache does not answer
  /// fits into a budget. What an edit replaces is not counted: it is not known before there is one.
  ///
  /// - Throws: ``MemoryError`` for the first stage that cannot fit, or what a base model's folder is refused for.
  public func fit(_ points: [ExperimentPoint], into budget: MemoryBudget) throws {
    let entries = KnownEntries(store.cache)
    var estimates: [String: MemoryEstimate] = [:]
    for point in points {
      let stages = try stages(of: point)
      let plan = try Planner(stages, store, entries).plan()
      let open = Set(plan.stages.filter { !$0.isCached || !options.readsCache }.map(\.name)).subtracting(["base"])
      let estimate = try estimates[stages.base.identity] ?? MemoryEstimate(folder: stages.base.folder)
      estimates[stages.base.identity] = estimate
      try fit(stages, open, estimate, budget)
    }
  }

  private func fit(
    _ stages: PointStages, _ open: Set<String>, _ estimate: MemoryEstimate, _ budget: MemoryBudget
  ) throws {
    let (settings, half) = (stages.technique.samplerSettings, stages.technique.generation.useFP16)
    // Sums that this run has made itself stay until the edit is made of them.
    var held = 0
    for stage in stages.estimates where open.contains(stage.name) {
      if stage.work?.forwards ?? 0 > 0 {
        try budget.fit(stage.name, images: PictureOrder.batchSize) {
          held + estimate.drawing(images: $0, texts: settings.isGuided ? 2 : 1, settings, half: false)
        }
      }
      if stage.work?.gradients ?? 0 > 0 {
        if stage.sumsGradients {
          try fit(stage, beside: held, estimate, budget)
        } else {
          try fit(training: stage.name, stages.technique.trainingMemory, beside: held, estimate, budget)
        }
      }
      if stage.sumsGradients { held += estimate.unetGradients }
    }
    if open.contains("edit") {
      try budget.refuse("edit", unless: held + estimate.model)
      if stages.editWork?.gradients ?? 0 > 0 {
        try fit(training: "edit", stages.technique.trainingMemory, beside: held, estimate, budget)
      }
    }
    func drawing(_ stage: String, texts: Int) throws {
      guard open.contains(stage) else { return }
      try budget.fit(stage, images: options.batchSize) {
        estimate.drawing(images: $0, texts: texts, settings, half: half)
      }
    }
    try drawing("images", texts: stages.technique.textsPerStep)
    try drawing("images.attack", texts: stages.technique.textsPerStep)
    try drawing("images.base", texts: settings.isGuided ? 2 : 1)
    for attack in stages.attacks where open.contains(attack.stageName) {
      if stages.work(of: attack)?.gradients ?? 0 > 0 {
        try budget.fit(attack.stageName, samples: 1) { estimate.gradients(samples: $0, $1, withWeights: false) }
      }
      try drawing(attack.stageName, texts: stages.technique.textsPerStep)
    }
  }

  private func fit(
    _ stage: Estimate, beside held: Int, _ estimate: MemoryEstimate, _ budget: MemoryBudget
  ) throws {
    try budget.fit(stage.name, samples: Parallel.threadCount) { samples, checkpointing in
      held + estimate.unetGradients + estimate.gradients(samples: samples, checkpointing, withWeights: true)
    }
  }

  /// - Parameter memory: of the technique's training; nil where it trains few of the weights
  private func fit(
    training stage: String, _ memory: TrainingMemory?, beside held: Int, _ estimate: MemoryEstimate,
    _ budget: MemoryBudget
  ) throws {
    guard let memory else {
      return try budget.fit(stage, samples: 1) { held + estimate.gradients(samples: $0, $1, withWeights: false) }
    }
    try budget.fit(stage, samples: memory.samplesAtATime(estimate.weights(of: memory.group))) {
      held + estimate.training(memory, samples: $0, $1)
    }
  }
}
