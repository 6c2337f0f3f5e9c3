internal import Attacks
public import Configuration
internal import Diffusion
internal import Erasure
internal import Metrics
public import Store
internal import Tensors

/// What running a point would do: its stages in an order in which they can run, each answered by the cache or not.
public struct Plan: Sendable {
  public struct Stage: Equatable, Sendable {
    public let name: String
    /// The names of the stages whose results it reads.
    public let needs: [String]
    /// The digest of its cache key; nil while a stage before it is not computed, for the key holds that one's digest.
    public let key: Digest?
    /// Whether the cache answers.
    public let isCached: Bool
    /// Why it does not, for example `only retain_prompts[3] differs: "a" -> "b"`; nil where it does.
    public let reason: String?
    /// Images that are there already, and images in all; nil for other stages.
    public let images: (there: Int, all: Int)?
    /// Adversarial prompts that are there already, and prompts in all; nil for other stages.
    public let prompts: (there: Int, all: Int)?
    /// What is to be computed; nil where the cache answers.
    let open: OpenWork?
    /// How long that takes; nil where nobody asked.
    public internal(set) var estimate: TimeEstimate?

    init(
      name: String, needs: [String], key: Digest?, isCached: Bool, reason: String?,
      images: (there: Int, all: Int)? = nil, prompts: (there: Int, all: Int)? = nil, open: OpenWork?
    ) {
      self.name = name
      self.needs = needs
      self.key = key
      self.isCached = isCached
      self.reason = reason
      self.images = images
      self.prompts = prompts
      self.open = isCached ? nil : open
    }

    public static func == (left: Stage, right: Stage) -> Bool {
      left.name == right.name && left.needs == right.needs && left.key == right.key && left.isCached == right.isCached
        && left.reason == right.reason && left.images?.there == right.images?.there
        && left.images?.all == right.images?.all && left.prompts?.there == right.prompts?.there
        && left.prompts?.all == right.prompts?.all && left.open == right.open && left.estimate == right.estimate
    }
  }

  public let point: ExperimentPoint
  public internal(set) var stages: [Stage]

  /// Whether there is nothing to compute.
  public var isComplete: Bool { stages.allSatisfy(\.isCached) }

  /// The plan as `lethe plan --json` prints it.
  public var json: JSON {
    var json: [String: JSON] = [
      "experiment": .string(point.experiment), "technique": .string(point.technique.name), "seed": .integer(point.seed),
      "set": .object(point.set), "config_hash": .string(point.configHash.hex),
      "group_hash": .string(point.configHashWithoutSeed.hex),
      "stages": .array(stages.map(\.json)),
    ]
    if stages.contains(where: { $0.estimate != nil }) {
      let time = [self].expectedTime
      json["estimated_seconds"] = .number(time.seconds)
      json["stages_without_estimate"] = .integer(time.unknown)
    }
    return .object(json)
  }
}

extension [Plan] {
  /// The time that running all of them takes. A stage that several share counts once, so far as its key is known.
  ///
  /// - Returns: the seconds, and the number of stages of which nobody knows how long they take
  public var expectedTime: (seconds: Double, unknown: Int) {
    var (seconds, unknown) = (0.0, 0)
    var counted: Set<Digest> = []
    for stage in flatMap(\.stages) where !stage.isCached {
      if let key = stage.key, !counted.insert(key).inserted { continue }
      if let estimate = stage.estimate?.seconds { seconds += estimate } else { unknown += 1 }
    }
    return (seconds, unknown)
  }
}

extension Plan.Stage {
  fileprivate var json: JSON {
    var json: [String: JSON] = [
      "name": .string(name), "needs": .array(needs.map { .string($0) }), "cached": .bool(isCached),
      "key": key.map { .string($0.hex) } ?? .null, "reason": reason.map { .string($0) } ?? .null,
    ]
    if let prompts { json["prompts"] = ["there": .integer(prompts.there), "all": .integer(prompts.all)] }
    if let images { json["images"] = ["there": .integer(images.there), "all": .integer(images.all)] }
    if let estimate {
      json["estimated_seconds"] = estimate.seconds.map { .number($0) } ?? .null
      json["estimated_from"] = estimate.basis.map { .string($0.rawValue) } ?? .null
    }
    return .object(json)
  }
}

extension Runner {
  /// What running a point would do, found out without computing anything.
  public func plan(_ point: ExperimentPoint) throws -> Plan {
    try Planner(stages(of: point), store, KnownEntries(store.cache)).plan()
  }
}
