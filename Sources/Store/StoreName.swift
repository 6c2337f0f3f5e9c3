/// What a hash, or the unique beginning of one, means in a store.
public enum StoreName: Hashable, Sendable, CustomStringConvertible {
  case run(Digest)
  case config(Digest)
  case stage(Digest)
  case object(Digest)

  public var digest: Digest {
    switch self {
    case .run(let digest), .config(let digest), .stage(let digest), .object(let digest): digest
    }
  }

  /// For example `run 3f2a...`.
  public var description: String {
    switch self {
    case .run(let digest): "run \(digest)"
    case .config(let digest): "config \(digest)"
    case .stage(let digest): "stage \(digest)"
    case .object(let digest): "object \(digest)"
    }
  }
}

extension Store {
  /// The fewest digits that a name may be abbreviated to.
  public static let shortestPrefix = 4

  /// What `text` means: a whole hash, or the beginning of exactly one.
  ///
  /// Run ids and config hashes, which people type, are looked for first; stage keys and objects, of which there are
  /// thousands, only where none of those fits. A run record is an object too: its digest means the run.
  /// - Throws: ``StoreError`` `unknownName` or `ambiguousName`; the latter names the candidates.
  public func resolve(_ text: String) throws(StoreError) -> StoreName {
    let prefix = text.lowercased()
    guard prefix.utf8.count <= 64, prefix.utf8.allSatisfy({ hexadecimalValue($0) != nil }) else {
      throw StoreError(.unknownName, "\"\(text)\" is no hash: expected 4 to 64 hexadecimal digits")
    }
    guard prefix.utf8.count >= Self.shortestPrefix else {
      throw StoreError(.unknownName, "\"\(text)\" is too short for a hash: give at least \(Self.shortestPrefix) digits")
    }
    var candidates: [StoreName] = []
    for run in try Shards.digests(in: runs.runsFolder, prefix: prefix) { candidates.append(.run(run)) }
    for config in try index().configHashes(prefix: prefix) { candidates.append(.config(config)) }
    if candidates.isEmpty {
      for key in try Shards.digests(in: cache.entriesFolder, prefix: prefix) { candidates.append(.stage(key)) }
      for object in try Shards.digests(in: objects.objectsFolder, prefix: prefix) { candidates.append(.object(object)) }
    }
    guard let first = candidates.first else {
      throw StoreError(.unknownName, "nothing in the store \(folder) has a hash that begins with \(prefix)")
    }
    guard candidates.count == 1 else {
      let shown = candidates.prefix(8).map(\.description).joined(separator: ", ")
      let rest = candidates.count > 8 ? ", and \(candidates.count - 8) more" : ""
      throw StoreError(.ambiguousName, "\(prefix) is ambiguous: it begins \(shown)\(rest)")
    }
    return first
  }
}
