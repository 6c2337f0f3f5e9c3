/// What a collection removed, or would remove.
public struct GarbageReport: Equatable, Sendable {
  /// The objects that nothing refers to, sorted.
  public var objects: [Digest] = []
  /// The sum of their sizes.
  public var bytes = 0
  /// The leavings of processes that were killed, sorted.
  public var temporaryFiles: [String] = []
  /// The objects that something refers to.
  public var kept = 0
  /// Objects and temporary files that nothing refers to yet, and that are too young to be sure that nothing will.
  public var tooYoung = 0
  /// Whether nothing was removed because only the report was asked for.
  public var isDryRun = false
}

extension Store {
  /// How long an unreferenced object is left alone: longer than a stage takes from its first object to its cache entry.
  public static let defaultGrace: Double = 24 * 3600

  /// Removes the objects that no run record, cache entry or conflict leads to, and the temporary files of dead
  /// processes.
  ///
  /// Safe beside running experiments: what was written, or added once more, within `grace` seconds stays; adding an
  /// object that is there already renews its time.
  /// - Parameter progress: the number of records and entries that are looked at, and of all.
  /// - Throws: ``StoreError`` if a record, an entry or a manifest is damaged: what it kept alive is unknown, so nothing
  ///   is removed.
  public func collectGarbage(
    grace: Double = defaultGrace, dryRun: Bool = false, progress: (Int, Int) -> Void = { _, _ in }
  ) throws(StoreError) -> GarbageReport {
    var report = GarbageReport()
    report.isDryRun = dryRun
    // Taken before marking: whatever is written from here on is younger than this, whatever the clock of `grace` says.
    let before = Disk.now() - max(0, grace)
    var references = References(self)
    try references.markAll(progress: progress)

    for digest in try objects.list() {
      if references.reached.contains(digest) {
        report.kept += 1
        continue
      }
      let path = objects.path(of: digest)
      // Asked again for each object, right before it goes: it may have been added anew since the marking began.
      guard let modified = Disk.modified(path), modified < before else {
        report.tooYoung += 1
        continue
      }
      report.objects.append(digest)
      report.bytes += Disk.size(of: path) ?? 0
      if !dryRun { try Disk.remove(path) }
    }
    for name in try Disk.names(in: objects.temporaryFolder) {
      let path = objects.temporaryFolder + "/" + name
      guard let modified = Disk.modified(path), modified < before else {
        report.tooYoung += 1
        continue
      }
      report.temporaryFiles.append(name)
      if !dryRun { try Disk.remove(path) }
    }
    return report
  }
}
