/// Folders of digests spread over 256 subfolders by their first two digits: `ab/cdef...`.
enum Shards {
  /// Where the file of a digest lies, whether or not it is there.
  static func path(of digest: Digest, in folder: String) -> String {
    let hex = digest.hex
    return "\(folder)/\(hex.prefix(2))/\(hex.dropFirst(2))"
  }

  static func digests(in folder: String) throws(StoreError) -> [Digest] {
    var digests: [Digest] = []
    for shard in try Disk.names(in: folder) where isShard(shard) {
      for name in try Disk.names(in: "\(folder)/\(shard)") {
        if let digest = Digest(hex: shard + name) { digests.append(digest) }
      }
    }
    return digests
  }

  /// The digests that begin with `prefix` (at least two digits): one or no folder is read.
  static func digests(in folder: String, prefix: String) throws(StoreError) -> [Digest] {
    let shard = String(prefix.prefix(2))
    return try Disk.names(in: "\(folder)/\(shard)").compactMap { Digest(hex: shard + $0) }
      .filter { $0.hex.hasPrefix(prefix) }
  }

  static func isShard(_ name: String) -> Bool {
    name.utf8.count == 2 && name.utf8.allSatisfy { hexadecimalValue($0) != nil }
  }

  /// Gives temporary files their names in `folder`, in this order: bytes synced, names given, folders synced. What has
  /// a name is therefore whole on the disk, and when this returns the names are, too.
  ///
  /// - Parameter place: gives one file its name, whose folder is there by then.
  /// - Returns: what `place` answered for each file.
  @discardableResult
  static func publish<Outcome>(
    _ files: [(digest: Digest, temporary: String)], in folder: String,
    place: (_ index: Int, _ temporary: String, _ target: String) throws(StoreError) -> Outcome
  ) throws(StoreError) -> [Outcome] {
    guard !files.isEmpty else { return [] }
    try syncAll(files.map(\.temporary))
    try Disk.makeDurableFolder(folder)
    var outcomes: [Outcome] = []
    var shards: Set<String> = []
    var madeShard = false
    for (index, file) in files.enumerated() {
      let shard = "\(folder)/\(file.digest.hex.prefix(2))"
      if shards.insert(shard).inserted, try Disk.makeFolder(shard) { madeShard = true }
      outcomes.append(try place(index, file.temporary, path(of: file.digest, in: folder)))
    }
    if madeShard { try Disk.sync(folder) }
    try syncAll(Array(shards))
    return outcomes
  }
}
