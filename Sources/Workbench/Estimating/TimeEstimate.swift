internal import Diffusion
internal import Store
internal import Tensors

/// How long a stage will take, and how that is known.
public struct TimeEstimate: Equatable, Sendable {
  public enum Basis: String, Sendable {
    /// There is nothing to compute.
    case cache
    /// From what stages of its kind took in this store.
    case past
    /// From single passes of the model that were timed just now.
    case measurement
  }

  /// Nil where nothing tells.
  public let seconds: Double?
  /// Nil where nothing tells.
  public let basis: Basis?

  /// Nothing tells.
  public static let unknown = TimeEstimate(seconds: nil, basis: nil)
}

/// Tells how long stages will take from the past of the store where that knows such stages, scaled by the amount of
/// work.
struct TimeEstimator {
  private let entries: KnownEntries

  init(_ entries: KnownEntries) { self.entries = entries }

  /// - Returns: nil where the model's parts have to be timed
  func estimate(_ open: OpenWork?) throws -> TimeEstimate? {
    guard let open else { return TimeEstimate(seconds: 0, basis: .cache) }
    guard let work = open.work else { return .unknown }
    if let seconds = try past(open, work) { return TimeEstimate(seconds: seconds, basis: .past) }
    // Judges are timed by nobody.
    if work.judgements > 0, work.inForwards == work.judgements { return .unknown }
    return work == .nothing ? TimeEstimate(seconds: 0, basis: .measurement) : nil
  }

  /// How many of the latest stages are asked, of which the middle one answers.
  private static let memory = 16

  private func past(_ open: OpenWork, _ work: ModelWork) throws -> Double? {
    let alike = try entries.all()[open.stage, default: []].filter { $0.work != nil && open.resembles($0) }
    let rates = alike.sorted { $0.created > $1.created }.compactMap { entry -> Double? in
      let done = ModelWork(counts: entry.work ?? [:])
      if work == .nothing { return done == .nothing ? entry.seconds : nil }
      return done.inForwards > 0 ? entry.seconds / done.inForwards * work.inForwards : nil
    }
    return rates.isEmpty ? nil : Array(rates.prefix(Self.memory)).median
  }
}

/// The entries of a cache by their stage, read once and when they are first asked for.
final class KnownEntries {
  private let cache: StageCache
  private var entries: [String: [CacheEntry]]?

  init(_ cache: StageCache) { self.cache = cache }

  func all() throws -> [String: [CacheEntry]] {
    if let entries { return entries }
    let cache = cache
    let keys = try cache.list()
    // A damaged entry tells nothing; `verify` reports it.
    let read = try parallelMap(keys.count) { try? cache.entry(keys[$0]) }
    let groups = Dictionary(grouping: read.compactMap { $0 }) { $0.key.stage }
    entries = groups
    return groups
  }
}
