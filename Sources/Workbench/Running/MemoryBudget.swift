public import Configuration
public import Diffusion
internal import Erasure
public import Store

/// What would not fit into the memory that there is, in one sentence.
public struct MemoryError: Error, Equatable, CustomStringConvertible {
  public let description: String

  /// - Parameter stages: those that do not fit, and the bytes that each needs at least
  init(_ stages: [(name: String, bytes: Int)], in budget: MemoryBudget) {
    let remedy = budget.isMachine ? "; --memory gives another size, to be tried all the same" : ""
    if stages.count == 1 {
      let giver = budget.isMachine ? "this machine has" : "--memory gives it"
      description =
        "\(stages[0].name) would need \(ByteCount(stages[0].bytes)) of memory at least, and \(giver) \(budget.limit)"
        + remedy
    } else {
      let giver = budget.isMachine ? "this machine has" : "--memory gives them"
      let needs = stages.prefix(10).map { "\($0.name) \(ByteCount($0.bytes))" }.joined(separator: ", ")
      description =
        "\(stages.count) stages do not fit into the memory that \(giver), \(budget.limit); at least they would need: "
        + needs + (stages.count > 10 ? " and \(stages.count - 10) more" : "") + remedy
    }
  }
}

/// The memory that one process may take. What bounds it, and changes no result, is chosen for it: first checkpoints on
/// the way back, then how many samples' gradients are held and how many images are drawn at a time.
///
/// The choice holds for the process (`Checkpointing`, `MemoryLimits`) and suits all that was asked for: to fit one
/// stage more never undoes what another needs.
public struct MemoryBudget: Sendable {
  public let limit: ByteCount
  /// Whether nobody asked for a limit, and it is what the machine has.
  let isMachine: Bool

  public init(_ limit: ByteCount) { (self.limit, isMachine) = (limit, false) }

  private init(machine limit: ByteCount) { (self.limit, isMachine) = (limit, true) }

  /// All that this machine has, or the system lets the process have: what cannot fit is refused rather than begun and
  /// ended by the system, and what fits is left as it is.
  public static let machine = MemoryBudget(machine: ByteCount(MachineMemory.total))

  /// The machine's, were it of another size.
  public static func machine(of bytes: Int) -> MemoryBudget { MemoryBudget(machine: ByteCount(bytes)) }

  /// What an estimate is made from. Nil where nobody asked for one and something is wrong with it: that is for the work
  /// itself to say.
  func prepare<Result>(_ body: () throws -> Result) throws -> Result? {
    guard isMachine else { return try body() }
    return try? body()
  }

  /// Whether all of it fits as it is.
  func holds(_ needs: [MemoryNeed]) -> Bool {
    let choices = MemoryChoices()
    return needs.allSatisfy { choices.bytes($0) <= limit.bytes }
  }

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
    let need = try prepare {
      try MemoryEstimate(folder: folder).drawing(start, texts: settings.isGuided ? 2 : 1, settings, half: false)
    }
    if let need { try fit([need]) }
  }

  /// A part that is timed.
  ///
  /// - Throws: ``MemoryError``, or the error of a folder that cannot be read.
  public func fit(_ benchmark: PartBenchmark, folder: String) throws {
    guard let estimate = try prepare({ try MemoryEstimate(folder: folder) }) else { return }
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
    let point = try budget.prepare { try isolated.point(of: store.run(run), run: run) }
    if let point { try isolated.fit([point], into: budget) }
  }

  /// The same for pictures that the edited model of a past run is about to draw.
  ///
  /// - Throws: ``MemoryError``, ``ReproductionError``, or the error of latents that cannot be read.
  public func fit(drawing start: PictureOrder.Start, by run: Digest, into budget: MemoryBudget) throws {
    let need = try budget.prepare {
      let stages = try stages(of: point(of: store.run(run), run: run))
      let technique = stages.technique
      return try MemoryEstimate(folder: stages.base.folder).drawing(
        start, texts: technique.textsPerStep, technique.samplerSettings, half: technique.generation.useFP16)
    }
    if let need { try budget.fit([need]) }
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
      let prepared = try budget.prepare {
        let stages = try stages(of: point)
        return (stages, try estimates[stages.base.identity] ?? MemoryEstimate(folder: stages.base.folder))
      }
      guard let (stages, estimate) = prepared else { continue }
      estimates[stages.base.identity] = estimate
      // What the cache has matters only where not everything fits.
      if budget.holds(stages.memoryNeeds(estimate, batchSize: options.batchSize) { _ in true }) { continue }
      let plan = try Planner(stages, store, entries).plan()
      let open = Set(plan.stages.filter { !$0.isCached || !options.readsCache }.map(\.name)).subtracting(["base"])
      needs += stages.memoryNeeds(estimate, batchSize: options.batchSize, where: open.contains).map { need in
        isOne ? need : MemoryNeed("\(need.stage) of \(point.experiment)", need.work)
      }
    }
    try budget.fit(needs)
  }
}
