internal import Attacks
internal import Diffusion
internal import Erasure
internal import Metrics
internal import Store

/// What the stages of a point take, so that the cache can keep it beside the seconds, and a plan tell the time of what
/// is still to be computed. No key depends on it.
extension PointStages {
  /// Making the edit beside its estimates; a file only has to be read.
  var editWork: ModelWork? { technique.loadPath == nil ? technique.editWork : .nothing }

  /// One image of the edited model.
  var imageWork: ModelWork { technique.samplerSettings.work(pictures: 1, texts: technique.textsPerStep) }

  /// One image of the base model.
  var baseImageWork: ModelWork { technique.samplerSettings.work(pictures: 1) }

  /// The search for one prompt, at most.
  func work(of attack: AttackStage) -> ModelWork? {
    attack.attack.work(drawing: imageWork + ModelWork(judgements: 1))
  }

  /// Looking at the images of a metric.
  func work(of metric: MetricStage) -> ModelWork {
    let pictures = metric.requests.count * max(1, metric.lookNames.count) + metric.baseRequests.count
    return ModelWork(judgements: Double(pictures))
  }

  /// The number of images under all attacks, also while their prompts are not found; one that several ask for counts
  /// for each.
  var attackedImageCount: Int { metrics.reduce(0) { $0 + $1.requests.count * $1.lookNames.count } }
}

extension ModelWork {
  /// As cache entries keep it.
  var counts: [String: Double] {
    let all = [
      "forwards": forwards, "gradients": gradients, "decodings": decodings, "encodings": encodings,
      "judgements": judgements,
    ]
    return all.filter { $0.value != 0 }
  }

  init(counts: [String: Double]) {
    self.init(
      forwards: counts["forwards"] ?? 0, gradients: counts["gradients"] ?? 0, decodings: counts["decodings"] ?? 0,
      encodings: counts["encodings"] ?? 0, judgements: counts["judgements"] ?? 0)
  }
}
