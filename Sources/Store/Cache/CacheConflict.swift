internal import Configuration

/// A stage that was computed again and came out otherwise: the key says that this cannot be.
///
/// The cache keeps answering with what was recorded first; the other outputs are kept beside it, in `conflicts/`.
public struct CacheConflict: Equatable, Sendable {
  /// What the cache answers with.
  public let recorded: CacheEntry
  /// What came out later.
  public let found: CacheEntry

  static let format = "lethe cache conflict 1"

  /// The output names for which the two disagree, sorted.
  public var outputs: [String] {
    Set(recorded.outputs.keys).union(found.outputs.keys).filter { recorded.outputs[$0] != found.outputs[$0] }.sorted()
  }

  /// The same disagreement found again has the same file, so that repeated runs do not pile conflicts up.
  var fileName: String {
    let outputs = JSON.object(found.outputs.mapValues { .string($0.hex) })
    return found.key.digest.hex + "-" + Digest(hashing: outputs.canonical()).short
  }

  var json: JSON {
    ["format": .string(Self.format), "recorded": recorded.json, "found": found.json]
  }

  public init(recorded: CacheEntry, found: CacheEntry) {
    self.recorded = recorded
    self.found = found
  }

  init?(json: JSON) {
    guard json["format"]?.string == Self.format,
      let recorded = json["recorded"].flatMap(CacheEntry.init(json:)),
      let found = json["found"].flatMap(CacheEntry.init(json:)), recorded.key == found.key
    else { return nil }
    self.init(recorded: recorded, found: found)
  }
}
