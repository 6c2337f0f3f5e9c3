internal import Configuration
import Dispatch
import Synchronization

/// What a verification looked at, and all that it found wrong.
public struct VerificationReport: Equatable, Sendable {
  /// One thing that is not as the store wrote it.
  public struct Problem: Equatable, Sendable {
    public enum Kind: String, Sendable {
      case damagedObject, foreignFile, damagedRun, damagedEntry, damagedConflict, missingObject
    }
    public let kind: Kind
    /// One sentence that names the thing and, where there is one, the remedy.
    public let message: String
  }

  public var objects = 0
  public var bytes = 0
  public var runs = 0
  public var entries = 0
  public var conflicts = 0
  /// In the order objects, runs, cache entries, conflicts; within each by name.
  public var problems: [Problem] = []

  public var isSound: Bool { problems.isEmpty }
}

extension Store {
  /// Hashes every object again and checks that every reference leads somewhere. Changes nothing.
  ///
  /// - Parameter progress: the number of objects that are hashed, and of all
  public func verify(progress: (Int, Int) -> Void = { _, _ in }) throws(StoreError) -> VerificationReport {
    var report = VerificationReport()
    try verifyObjects(&report, progress)
    try verifyRuns(&report)
    try verifyCache(&report)
    return report
  }

  private func verifyObjects(
    _ report: inout VerificationReport, _ progress: (Int, Int) -> Void
  ) throws(StoreError) {
    for shard in try Disk.names(in: objects.objectsFolder) {
      let names = Shards.isShard(shard) ? try Disk.names(in: "\(objects.objectsFolder)/\(shard)") : [""]
      for name in names where Digest(hex: shard + name) == nil {
        let path = [objects.objectsFolder, shard, name].filter { !$0.isEmpty }.joined(separator: "/")
        report.problems.append(.init(kind: .foreignFile, message: "\(path) is not an object of this store"))
      }
    }
    let all = try objects.list()
    let damage = Mutex<[(Digest, StoreError)]>([])
    let bytes = Mutex(0)
    for first in stride(from: 0, to: all.count, by: 256) {
      progress(first, all.count)
      DispatchQueue.concurrentPerform(iterations: min(256, all.count - first)) { offset in
        let digest = all[first + offset]
        do throws(StoreError) { try objects.check(digest) } catch { damage.withLock { $0.append((digest, error)) } }
        let size = objects.size(of: digest) ?? 0
        bytes.withLock { $0 += size }
      }
    }
    report.objects = all.count
    report.bytes = bytes.withLock { $0 }
    for (_, error) in damage.withLock({ $0 }).sorted(by: { $0.0 < $1.0 }) {
      report.problems.append(.init(kind: .damagedObject, message: error.message))
    }
    // A set whose tensors or images are gone is whole itself, and useless. What is damaged is reported above.
    for digest in all {
      guard let manifest = try? objects.manifest(digest), let kind = Self.kindOfSet(manifest) else { continue }
      for (place, member) in Self.digests(in: manifest) where !objects.contains(member) {
        report.problems.append(
          .init(kind: .missingObject, message: "\(place) of the \(kind) \(digest) is missing: object \(member)"))
      }
    }
  }

  /// What a set of objects calls itself: `tensor set` of `lethe tensor set 1`; nil for any other JSON.
  private static func kindOfSet(_ manifest: JSON) -> String? {
    let words = manifest["format"]?.string?.split(separator: " ") ?? []
    return words.count == 4 && words[0] == "lethe" && words[2] == "set" ? "\(words[1]) set" : nil
  }

  /// The objects that a set names: every member `digest` in it, with its place.
  private static func digests(in json: JSON, at place: String = "") -> [(place: String, digest: Digest)] {
    func inside(_ name: String) -> String { place.isEmpty ? name : place + "." + name }
    switch json {
    case .object(let members):
      if let digest = members["digest"]?.string.flatMap({ Digest(hex: $0) }) { return [(place, digest)] }
      return members.sorted { $0.key < $1.key }.flatMap { digests(in: $0.value, at: inside($0.key)) }
    case .array(let values):
      return values.enumerated().flatMap { digests(in: $0.element, at: inside("\($0.offset)")) }
    case .null, .bool, .integer, .number, .string: return []
    }
  }

  private func verifyRuns(_ report: inout VerificationReport) throws(StoreError) {
    for run in try runs.list() {
      report.runs += 1
      if !runs.isIntact(run) {
        report.problems.append(
          .init(
            kind: .damagedRun,
            message: "the reference \(runs.path(of: run)) is damaged: it should hold its run's id and a line feed"))
      }
      do {
        let record = try runs.record(run)
        if let patch = record["git"]?["patch"]?.string.flatMap({ Digest(hex: $0) }), !objects.contains(patch) {
          report.problems.append(
            .init(kind: .missingObject, message: "the patch of run \(run.short) is missing: object \(patch)"))
        }
        let facts = try reader(record, run)
        for output in facts.outputs where !objects.contains(output.digest) {
          report.problems.append(
            .init(
              kind: .missingObject,
              message: "output \(output.name) of run \(run.short) is missing: object \(output.digest)"))
        }
      } catch {
        report.problems.append(.init(kind: .damagedRun, message: "run \(run) cannot be read: \(error)"))
      }
    }
  }

  private func verifyCache(_ report: inout VerificationReport) throws(StoreError) {
    for key in try cache.list() {
      report.entries += 1
      do throws(StoreError) {
        guard let entry = try cache.entry(key) else { continue }
        for (name, digest) in entry.outputs.sorted(by: { $0.key < $1.key }) where !objects.contains(digest) {
          report.problems.append(
            .init(
              kind: .missingObject,
              message:
                "output \(name) of the cached stage \(entry.key.stage) \(key.short) is missing: object \(digest); "
                + "the stage will be computed again"))
        }
      } catch {
        report.problems.append(.init(kind: .damagedEntry, message: error.message))
      }
    }
    do throws(StoreError) {
      let conflicts = try cache.conflicts()
      report.conflicts = conflicts.count
      for conflict in conflicts {
        for (name, digest) in conflict.found.outputs.sorted(by: { $0.key < $1.key }) where !objects.contains(digest) {
          report.problems.append(
            .init(
              kind: .missingObject,
              message: "the other output \(name) of the conflict \(conflict.fileName) is missing: object \(digest)"))
        }
      }
    } catch {
      report.problems.append(.init(kind: .damagedConflict, message: error.message))
    }
  }
}
