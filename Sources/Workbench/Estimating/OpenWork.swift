internal import Configuration
internal import Diffusion
internal import Erasure
internal import Store

/// What is left to compute of a stage, and what of the past would tell how long that takes.
struct OpenWork: Equatable, Sendable {
  /// The stage that cache entries of this kind name.
  let stage: String
  /// What the parts of their keys say alike.
  let like: [String: JSON]
  /// Nil where nobody knows.
  let work: ModelWork?

  /// Whether an entry tells of work of this kind.
  func resembles(_ entry: CacheEntry) -> Bool {
    like.allSatisfy { keyPath, value in (entry.key.parts.value(at: keyPath) ?? .null) == value }
  }
}

extension PointStages {
  private var surroundings: [String: JSON] { ["base": .string(base.digest.hex), "blas": blas] }

  func open(_ estimate: Estimate) -> OpenWork {
    OpenWork(stage: estimate.name, like: surroundings, work: estimate.work)
  }

  var openEdit: OpenWork {
    var like = surroundings
    // That of a file names no technique.
    like["technique"] = loaded == nil ? .string(type(of: technique).name) : .null
    return OpenWork(stage: "edit", like: like, work: editWork)
  }

  /// - Parameter isBase: whether the unedited model draws
  func openImages(_ count: Int, isBase: Bool) -> OpenWork {
    let inference = technique.changesDrawing && !isBase ? JSON.string(type(of: technique).name) : .null
    return OpenWork(
      stage: "image", like: surroundings.merging(["inference.technique": inference]) { $1 },
      work: (isBase ? baseImageWork : imageWork) * count)
  }

  func open(_ attack: AttackStage, prompts: Int) -> OpenWork {
    OpenWork(stage: attack.stageName, like: surroundings, work: work(of: attack).map { $0 * prompts })
  }

  func open(_ metric: MetricStage) -> OpenWork {
    let card = base.cardDigest.map { JSON.string($0.hex) } ?? .null
    return OpenWork(stage: metric.stageName, like: ["card": card, "blas": blas], work: work(of: metric))
  }

  func open(_ metric: ModelMetricStage) -> OpenWork {
    OpenWork(stage: metric.stageName, like: surroundings, work: nil)
  }
}
