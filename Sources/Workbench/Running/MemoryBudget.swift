public import Configuration
public import Diffusion
internal import Erasure
public import Store

/// What would not fit into the memory that there is, in one sentence.
public struct MemoryError: Error, Equatable, CustomStringConvertible {
  public let description: String

  /// - Parameter stages: those that do not fit, and the bytes that each needs at least
  init(_ stages: [(name: String, bytes: Int)], in budget: MemoryBudget) {
    if stages.count == 1 {
      description =
        "\(stages[0].name) would need \(ByteCount(stages[0].bytes)) of memory at least, and --memory gives it "
        + "\(budget.limit)"
    } else {
      let needs = stages.prefix(10).map { "\($0.name) \(ByteCount($0.bytes))" }.joined(separator: ", ")
      description =
        "\(stages.count) stages do not fit into the memory that --memory gives them, \(budget.limit); at least they "
        + "would need: \(needs)" + (stages.count > 10 ? " and \(stages.count - 10) more" : "")
    }
  }
}

/// The memory that one process may take. What bounds it, and changes no result, is chosen for it: first checkpoints on
/// the way back, then how many samples' gradients are held and how many images are drawn at a time.
///
/// The choice holds for the process (`Checkpointing`, `MemoryLimits`) and suits all that was asked for: to fit one
/// stage more never undoes what another needs.
public struct MemoryBudget {
  public let limit: ByteCount

  public init(_ limit: ByteCount) { self.limit = limit }

  /// Chooses what bounds the memory so that each need fits.
  ///
  /// - Throws: ``MemoryError`` with all that cannot fit; nothing is chosen then.
  func fit(_ needs: [MemoryNeed]) throws(MemoryError) {
    var choices = MemoryChoices()
    var short: [(name: String, bytes: Int)] = []
    for need in needs {
      choices.tighten(for: need, within: limit.bytes)
      let bytes = choices.bytes(need)
      guard bytes > limit.bytes else { continue }
      // A stage that draws and trains, or that several points have, is told once.
      if let known = short.firstIndex(where: { $0.name == need.stage }) {
        short[known].bytes = max(short[known].bytes, bytes)
      } else {
        short.append((need.stage, bytes))
      }
    }
    guard short.isEmpty else { throw MemoryError(short, in: self) }
    choices.apply()
  }
}

extension MemoryBudget {
  /// Pictures that are drawn by hand with a model in float32.
  ///
  /// - Throws: ``MemoryError``, or the error of a folder or of latents that cannot be read.
  public func fitDrawing(_ start: PictureOrder.Start, _ settings: SamplerSettings, folder: String) throws {
    let estimate = try MemoryEstimate(folder: folder)
    try fit([estimate.drawing(start, texts: settings.isGuided ? 2 : 1, settings, half: false)])
  }

  /// A part that is timed.
  ///
  /// - Throws: ``MemoryError``, or the error of a folder that cannot be read.
  public func fit(_ benchmark: PartBenchmark, folder: String) throws {
    let estimate = try MemoryEstimate(folder: folder)
    try fit([
      MemoryNeed(benchmark.work.rawValue, .gradients(samples: 1) { _, way in estimate.bytes(of: benchmark, way) })
    ])
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
  /// - Throws: ``MemoryError``, ``ReproductionError``, or the error of latents that cannot be read.
  public func fit(drawing start: PictureOrder.Start, by run: Digest, into budget: MemoryBudget) throws {
    let stages = try stages(of: point(of: store.run(run), run: run))
    let estimate = try MemoryEstimate(folder: stages.base.folder)
    let technique = stages.technique
    try budget.fit([
      estimate.drawing(
        start, texts: technique.textsPerStep, technique.samplerSettings, half: technique.generation.useFP16)
    ])
  }

  /// Chooses what bounds the memory of points that are about to run, so that each stage that the cache does not answer
  /// fits into a budget. What an edit replaces is not counted: it is not known before there is one.
  ///
  /// - Throws: ``MemoryError`` with all stages that cannot fit, or what a base model's folder is refused for.
  public func fit(_ points: [ExperimentPoint], into budget: MemoryBudget) throws {
    let entries = KnownEntries(store.cache)
    let isOne = Set(points.map(\.experiment)).count == 1
    var estimates: [String: MemoryEstimate] = [:]
    var needs: [MemoryNeed] = []
    for point in points {
      let stages = try stages(of: point)
      let plan = try Planner(stages, store, entries).plan()
      let open = Set(plan.stages.filter { !$0.isCached || !options.readsCache }.map(\.name)).subtracting(["base"])
      let estimate = try estimates[stages.base.identity] ?? MemoryEstimate(folder: stages.base.folder)
      estimates[stages.base.identity] = estimate
      needs += stages.memoryNeeds(estimate, batchSize: options.batchSize, where: open.contains).map { need in
        isOne ? need : MemoryNeed("\(need.stage) of \(point.experiment)", need.work)
      }
    }
    try budget.fit(needs)
  }
}
