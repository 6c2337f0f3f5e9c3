internal import Attacks
internal import Configuration
internal import Diffusion
internal import Erasure
internal import Metrics
internal import Store
internal import Tensors

/// Walks the stages of a point as running does, as far as the cache leads.
final class Planner {
  private let point: PointStages
  private let cache: StageCache
  private let objects: ObjectStore
  private var stages: [Plan.Stage] = []
  private let explanations: MissExplanations

  init(_ point: PointStages, _ store: Store, _ entries: KnownEntries) {
    self.point = point
    cache = store.cache
    objects = store.objects
    explanations = MissExplanations(cache, entries)
  }

  func plan() throws -> Plan {
    stages.append(
      Plan.Stage(name: "base", needs: [], key: point.base.digest, isCached: true, reason: nil, open: nil))
    var estimates: [String: Digest] = [:]
    for estimate in point.estimates {
      estimates[estimate.name] = try look(
        estimate.name, needs: ["base"] + estimate.needs, key: point.key(of: estimate, estimates: estimates), "tensors",
        point.open(estimate))
    }
    let names = point.estimates.map(\.name)
    let editKey = names.count == estimates.count ? point.editKey(estimates: estimates) : nil
    let isMade = try look("edit", needs: ["base"] + names, key: editKey, "edit", point.openEdit) != nil
    let entry = isMade ? try editKey.flatMap { try cache.lookup($0) } : nil
    let edit = entry.flatMap { entry in StoredEdit { entry.outputs[$0] } }
    let images = try lookAtImages(
      "images", point.requests, needs: ["edit"], key: edit.map { edit in { self.point.key(of: $0, edit: edit) } })
    let base =
      point.baseRequests.isEmpty
      ? [:] : try lookAtImages("images.base", point.baseRequests, needs: ["base"], isBase: true, key: point.baseKey)
    var prompts: [String: AdversarialPrompts] = [:]
    for attack in point.attacks { prompts[attack.name] = try lookAtPrompts(attack, edit: edit) }
    var all = images
    if !point.attacks.isEmpty {
      let isFound = prompts.count == point.attacks.count
      let requests = isFound ? point.requests(under: prompts) : []
      all.merge(
        try lookAtImages(
          "images.attack", requests, expected: point.attackedImageCount,
          needs: ["edit"] + point.attacks.map(\.stageName),
          key: isFound ? edit.map { edit in { self.point.key(of: $0, edit: edit) } } : nil)
      ) { $1 }
    }
    for metric in point.metrics {
      let needs =
        [metric.underAttack == nil ? "images" : "images.attack"] + (metric.baseRequests.isEmpty ? [] : ["images.base"])
      _ = try look(
        metric.stageName, needs: needs, key: metric.looks(all, base, prompts: prompts).map(metric.key), "values",
        point.open(metric))
    }
    for metric in point.modelMetrics {
      let key = edit.flatMap { point.key(of: metric, edit: $0, prompts: prompts) }
      let needs = ["edit"] + (metric.underAttack.map { [AttackStage.stageName($0.name)] } ?? [])
      _ = try look(metric.stageName, needs: needs, key: key, "values", point.open(metric))
    }
    return Plan(point: point.point, stages: stages)
  }

  /// - Returns: the output that the cache has.
  private func look(
    _ name: String, needs: [String], key: StageKey?, _ output: String, _ open: OpenWork
  ) throws -> Digest? {
    var found: Digest?
    var reason: String?
    if let key {
      found = try cache.lookup(key)?.outputs[output]
      if found == nil { reason = try explanations.reason(for: key) }
    } else {
      reason = waiting(for: needs)
    }
    stages.append(
      Plan.Stage(
        name: name, needs: needs, key: key?.digest, isCached: found != nil, reason: reason, open: open))
    return found
  }

  /// - Returns: nil while one of the prompts is not found.
  private func lookAtPrompts(_ attack: AttackStage, edit: StoredEdit?) throws -> AdversarialPrompts? {
    let needs = attack.attack.access == .editedModel ? ["edit"] : ["base"]
    func stage(_ key: Digest?, there: Int, _ reason: String?) {
      stages.append(
        Plan.Stage(
          name: attack.stageName, needs: needs, key: key, isCached: there == attack.targets.count, reason: reason,
          prompts: (there, attack.targets.count), open: point.open(attack, prompts: attack.targets.count - there)))
    }
    if let loaded = try attack.precomputedPrompts() {
      stage(nil, there: attack.targets.count, nil)
      return loaded
    }
    // A search on the text encoder alone has a key before there is an edit.
    guard let edit = edit ?? (attack.attack.access == .editedModel ? nil : .unedited) else {
      stage(nil, there: 0, waiting(for: needs))
      return nil
    }
    let keys = attack.targets.map { point.key(of: $0, attack, edit: edit) }
    var found: [AttackTarget: AdversarialPrompt] = [:]
    var missing: [StageKey] = []
    for (target, key) in zip(attack.targets, keys) {
      if let digest = try cache.lookup(key)?.outputs["prompt"] {
        found[target] = try AdversarialPrompts.read(digest, from: objects)
      } else {
        missing.append(key)
      }
    }
    var reason: String?
    if let first = missing.first {
      let why = try explanations.reason(for: first)
      reason = missing.count == 1 ? why : "\(missing.count) prompts, the first of them: \(why)"
    }
    stage(PointStages.together(keys, as: attack.stageName).digest, there: found.count, reason)
    return missing.isEmpty ? AdversarialPrompts(targets: attack.targets, found: found) : nil
  }

  /// - Parameter expected: the number of images that there will be, where it is not known yet which
  private func lookAtImages(
    _ stage: String, _ requests: [ImageRequest], expected: Int? = nil, needs: [String], isBase: Bool = false,
    key: ((ImageRequest) -> StageKey)?
  ) throws -> [ImageRequest: Digest] {
    guard let key else {
      let count = expected ?? requests.count
      stages.append(
        Plan.Stage(
          name: stage, needs: needs, key: nil, isCached: false, reason: waiting(for: needs),
          images: requests.isEmpty ? nil : (0, requests.count), open: point.openImages(count, isBase: isBase)))
      return [:]
    }
    let keys = requests.map(key)
    let cache = cache
    let digests = try parallelMap(keys.count) { try cache.lookup(keys[$0])?.outputs["image"] }
    var images: [ImageRequest: Digest] = [:]
    for (request, digest) in zip(requests, digests) { images[request] = digest }
    let missing = digests.indices.filter { digests[$0] == nil }
    var reason: String?
    if let first = missing.first {
      let why = try explanations.reason(for: keys[first])
      reason = missing.count == 1 ? why : "\(missing.count) images, the first of them: \(why)"
    }
    stages.append(
      Plan.Stage(
        name: stage, needs: needs, key: PointStages.imagesKey(keys).digest, isCached: missing.isEmpty,
        reason: reason, images: (requests.count - missing.count, requests.count),
        open: point.openImages(missing.count, isBase: isBase)))
    return images
  }

  private func waiting(for needs: [String]) -> String {
    let open = stages.filter { needs.contains($0.name) && !$0.isCached }.map(\.name)
    return "follows \(open.joined(separator: " and "))"
  }
}

/// Says why keys miss.
private struct MissExplanations {
  private let cache: StageCache
  private let entries: KnownEntries

  init(_ cache: StageCache, _ entries: KnownEntries) { (self.cache, self.entries) = (cache, entries) }

  func reason(for key: StageKey) throws -> String {
    if (try? cache.entry(key.digest)) != nil { return "its outputs are no longer in the store" }
    guard let neighbour = StageCache.nearest(to: key, among: try entries.all()[key.stage] ?? []) else {
      return "never computed before"
    }
    return Self.words(neighbour.differences)
  }

  private static func words(_ differences: [CacheNeighbour.Difference]) -> String {
    let shown = differences.prefix(3).map { difference in
      let values = [difference.recorded, difference.wanted].map { $0.map(short) ?? "absent" }
      return "\(difference.keyPath): \(values[0]) -> \(values[1])"
    }
    let rest = differences.count > shown.count ? " and \(differences.count - shown.count) more" : ""
    if differences.count == 1, let difference = differences.first {
      return "only \(difference.keyPath) differs" + shown[0].dropFirst(difference.keyPath.count)
    }
    return "of what was computed before the nearest differs in " + shown.joined(separator: ", ") + rest
  }

  /// A value, cut where it would fill the line.
  private static func short(_ value: JSON) -> String {
    if let text = value.string, let digest = Digest(hex: text) { return digest.short }
    let text = value.canonical()
    return text.count <= 60 ? text : text.prefix(57) + "..."
  }
}
