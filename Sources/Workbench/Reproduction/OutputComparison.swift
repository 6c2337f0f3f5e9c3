internal import Configuration
internal import Diffusion
internal import Erasure
internal import Foundation
internal import Store
internal import Tensors

/// How far two outputs of one name are apart, each kind measured in its own way.
struct OutputComparison {
  /// What both were held against, for example `every pixel within 2 of 255 on average`.
  let tolerance: String
  let isWithin: Bool
  /// Where and how much they differ, in a few words.
  let detail: String

  /// Compares what two digests name.
  ///
  /// - Parameter name: the output's name, which tells its kind.
  /// - Throws: `StoreError` for an object that is missing or damaged.
  init(_ name: String, _ recorded: Digest, _ found: Digest, in objects: ObjectStore) throws {
    if name == "images" || name.hasPrefix("images.") {
      try self.init(images: ImageSet(recorded, from: objects), ImageSet(found, from: objects), in: objects)
    } else if name.hasPrefix("metric.") {
      self.init(
        metrics: try MetricValues.read(recorded, from: objects), try MetricValues.read(found, from: objects))
    } else if name.hasPrefix("attack.") {
      self.init(
        prompts: try CSV.parse(objects.read(recorded), file: "object \(recorded)", limit: 1_000_000),
        try CSV.parse(objects.read(found), file: "object \(found)", limit: 1_000_000))
    } else if name == "edit.mask" {
      try self.init(
        masks: PruningMask(decoding: objects.read(recorded), source: "object \(recorded)"),
        PruningMask(decoding: objects.read(found), source: "object \(found)"))
    } else {
      try self.init(tensors: TensorSet(recorded, from: objects), TensorSet(found, from: objects), in: objects)
    }
  }

  /// The largest difference within a tensor, relative to its largest value.
  private init(tensors recorded: TensorSet, _ found: TensorSet, in objects: ObjectStore) throws {
    let limit = 1e-3
    tolerance = "each tensor within \(limit) of its largest value"
    guard recorded.names == found.names else {
      (isWithin, detail) = (false, "not the same tensors")
      return
    }
    var worst = (error: 0.0, name: "")
    let changed = found.changes(from: recorded)
    for name in changed {
      guard recorded.entries[name]?.shape == found.entries[name]?.shape else {
        (isWithin, detail) = (false, "\(name) has another shape")
        return
      }
      let error = try recorded.withValues(name, from: objects) { left in
        try found.withValues(name, from: objects) { right in Self.relativeError(left, right) }
      }
      if error > worst.error || worst.name.isEmpty { worst = (error, name) }
    }
    isWithin = worst.error <= limit
    detail =
      "\(changed.count) of \(recorded.names.count) tensors differ, most \(worst.name), by \(Self.short(worst.error))"
  }

  private static func relativeError(_ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>) -> Double {
    var (difference, scale) = (0.0, 0.0)
    for (x, y) in zip(a, b) {
      guard x.isFinite, y.isFinite else { return .infinity }
      difference = max(difference, abs(Double(x) - Double(y)))
      scale = max(scale, abs(Double(x)))
    }
    return scale > 0 ? difference / scale : difference
  }

  /// The adversarial prompts that are not the same. A search goes another way as soon as one of its numbers rounds
  /// otherwise, so that no other prompt is near to the recorded one.
  private init(prompts recorded: CSV, _ found: CSV) {
    tolerance = "the same prompts"
    guard recorded.header == found.header, recorded.rows.count == found.rows.count else {
      (isWithin, detail) = (false, "not of the same searches")
      return
    }
    let others = zip(recorded.rows, found.rows).count { $0.first != $1.first }
    isWithin = others == 0
    detail =
      others == 0
      ? "the same prompts with other losses"
      : "\(others) of \(recorded.rows.count) adversarial prompts differ"
  }

  /// The share of the pruned elements that only one of the masks prunes.
  private init(masks recorded: PruningMask, _ found: PruningMask) {
    let limit = 0.02
    tolerance = "2 % of the pruned elements"
    let names = Set(recorded.elements.keys).union(found.elements.keys)
    let others = names.reduce(0) { sum, name in
      sum + Set(recorded.elements[name] ?? []).symmetricDifference(found.elements[name] ?? []).count
    }
    isWithin = Double(others) <= limit * Double(max(recorded.prunedCount, found.prunedCount))
    detail =
      "\(others) elements are pruned by one and not by the other, of \(recorded.prunedCount) and \(found.prunedCount)"
  }

  /// The mean absolute difference of the colour values of each image.
  private init(images recorded: ImageSet, _ found: ImageSet, in objects: ObjectStore) throws {
    let limit = 2.0
    tolerance = "each image within \(Int(limit)) of 255 levels on average"
    guard recorded.entries.map(\.request) == found.entries.map(\.request) else {
      (isWithin, detail) = (false, "not the same prompts")
      return
    }
    let pairs = zip(recorded.entries, found.entries).filter { $0.digest != $1.digest }
    let errors = try parallelMap(pairs.count) { index in
      try Self.meanDifference(
        ImageSet.picture(pairs[index].0.digest, from: objects), ImageSet.picture(pairs[index].1.digest, from: objects))
    }
    let worst = errors.max() ?? 0
    isWithin = worst <= limit
    let first = pairs.first.map { pair in
      let request = pair.0.request
      return ", the first \(JSON.string(request.prompt).canonical()) (repetition \(request.repetition))"
    }
    detail =
      "\(pairs.count) of \(recorded.entries.count) images differ\(first ?? ""),"
      + " the worst by \(Self.short(worst)) levels"
  }

  private static func meanDifference(_ a: RGBImage, _ b: RGBImage) -> Double {
    guard a.width == b.width, a.height == b.height, !a.pixels.isEmpty else { return .infinity }
    let sum = zip(a.pixels, b.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
    return Double(sum) / Double(a.pixels.count)
  }

  private init(metrics recorded: [RunRecord.Metric], _ found: [RunRecord.Metric]) {
    let limit = 0.02
    tolerance = "each value within \(limit), or 2 % where it is above 1"
    guard recorded.map(\.name) == found.map(\.name) else {
      (isWithin, detail) = (false, "not the same values")
      return
    }
    var parts: [String] = []
    var isWithin = true
    for (old, new) in zip(recorded, found) where old != new {
      let (left, right) = (old.value ?? .nan, new.value ?? .nan)
      if !(abs(left - right) <= limit * max(1, abs(left))), old.value != new.value { isWithin = false }
      if old.count != new.count { isWithin = false }
      parts.append("\(old.name) \(Self.short(left)) -> \(Self.short(right))")
    }
    self.isWithin = isWithin
    detail = parts.joined(separator: ", ")
  }

  /// A number with three digits that matter.
  private static func short(_ value: Double) -> String { String(format: "%.3g", value) }
}
