public import Configuration

/// The recorded entry that is nearest to a key that missed, and all that differs between the two.
public struct CacheNeighbour: Equatable, Sendable {
  /// One place at which two keys differ.
  public struct Difference: Equatable, Sendable, CustomStringConvertible {
    /// Where, for example `retain_prompts[3]`; a missing value is nil.
    public let keyPath: String
    public let recorded: JSON?
    public let wanted: JSON?

    public init(keyPath: String, recorded: JSON?, wanted: JSON?) {
      self.keyPath = keyPath
      self.recorded = recorded
      self.wanted = wanted
    }

    /// For example `alpha: 5 -> 20`.
    public var description: String {
      "\(keyPath): \(recorded?.canonical() ?? "absent") -> \(wanted?.canonical() ?? "absent")"
    }
  }

  public let entry: CacheEntry
  /// In key path order of the recorded and wanted parts.
  public let differences: [Difference]

  public init(entry: CacheEntry, differences: [Difference]) {
    self.entry = entry
    self.differences = differences
  }
}

extension StageCache {
  /// Of `entries`, the one that differs from `key` in the fewest places; nil if there is none to compare with.
  ///
  /// Takes the entries rather than reading them, so that a plan with many misses reads the cache once.
  public static func nearest(to key: StageKey, among entries: [CacheEntry]) -> CacheNeighbour? {
    var best: CacheNeighbour?
    for entry in entries where entry.key.stage == key.stage {
      let limit = best?.differences.count ?? .max
      let found = differences(from: entry.key.parts, to: key.parts, limit: limit)
      // Of equally near entries the first by key wins.
      if found.count < limit { best = CacheNeighbour(entry: entry, differences: found) }
    }
    return best
  }

  /// All places at which two JSON values differ, in key path order; the search ends at `limit`.
  public static func differences(
    from recorded: JSON, to wanted: JSON, limit: Int = .max
  ) -> [CacheNeighbour.Difference] {
    var found: [CacheNeighbour.Difference] = []
    compare(recorded, wanted, at: "", limit, into: &found)
    return found
  }

  private static func compare(
    _ recorded: JSON?, _ wanted: JSON?, at keyPath: String, _ limit: Int, into found: inout [CacheNeighbour.Difference]
  ) {
    guard found.count < limit else { return }
    switch (recorded, wanted) {
    case (.object(let left)?, .object(let right)?):
      let keys = Set(left.keys).union(right.keys).sorted {
        $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars)
      }
      for key in keys {
        compare(left[key], right[key], at: keyPath.isEmpty ? key : "\(keyPath).\(key)", limit, into: &found)
      }
    case (.array(let left)?, .array(let right)?):
      for index in 0..<max(left.count, right.count) {
        // JSON's subscript answers an optional, unlike a bare `nil`, which would be the JSON null.
        compare(recorded?[index], wanted?[index], at: "\(keyPath)[\(index)]", limit, into: &found)
      }
    default:
      if recorded != wanted {
        found.append(CacheNeighbour.Difference(keyPath: keyPath, recorded: recorded, wanted: wanted))
      }
    }
  }
}
