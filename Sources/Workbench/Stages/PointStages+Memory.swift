internal import Diffusion
internal import Erasure
internal import Tensors

extension PointStages {
  /// What computing the stages takes, in their order. What an edit replaces is not counted: it is not known before
  /// there is one.
  ///
  /// - Parameters:
  ///   - batchSize: images drawn at a time
  ///   - isOpen: whether a stage, by its name, is to be computed
  func memoryNeeds(_ estimate: MemoryEstimate, batchSize: Int, where isOpen: (String) -> Bool) -> [MemoryNeed] {
    let (settings, half) = (technique.samplerSettings, technique.generation.useFP16)
    let guided = settings.isGuided ? 2 : 1
    var needs: [MemoryNeed] = []
    // Sums that this run has made itself stay until the edit is made of them.
    var held = 0
    for stage in estimates where isOpen(stage.name) {
      let before = held
      if stage.work?.forwards ?? 0 > 0 {
        needs.append(
          MemoryNeed(
            stage.name,
            .drawing(images: PictureOrder.batchSize) {
              before + estimate.drawing(images: $0, texts: guided, settings, half: false)
            }))
      }
      if stage.work?.gradients ?? 0 > 0 {
        needs.append(
          stage.sumsGradients
            ? sum(stage.name, estimate, beside: before) : training(stage.name, estimate, beside: before))
      }
      if stage.sumsGradients { held += estimate.unetGradients }
    }
    if isOpen("edit") {
      needs.append(MemoryNeed("edit", .fixed(bytes: held + estimate.model)))
      if editWork?.gradients ?? 0 > 0 { needs.append(training("edit", estimate, beside: held)) }
    }
    func draw(_ stage: String, texts: Int) {
      guard isOpen(stage) else { return }
      needs.append(
        MemoryNeed(
          stage,
          .drawing(images: batchSize) { estimate.drawing(images: $0, texts: texts, settings, half: half) }))
    }
    draw("images", texts: technique.textsPerStep)
    draw("images.attack", texts: technique.textsPerStep)
    draw("images.base", texts: guided)
    for attack in attacks where isOpen(attack.stageName) {
      if work(of: attack)?.gradients ?? 0 > 0 {
        needs.append(
          MemoryNeed(
            attack.stageName, .gradients(samples: 1) { estimate.gradients(samples: $0, $1, withWeights: false) }))
      }
      draw(attack.stageName, texts: technique.textsPerStep)
    }
    return needs
  }

  private func sum(_ stage: String, _ estimate: MemoryEstimate, beside held: Int) -> MemoryNeed {
    MemoryNeed(
      stage,
      .gradients(samples: Parallel.threadCount) {
        held + estimate.unetGradients + estimate.gradients(samples: $0, $1, withWeights: true)
      })
  }

  private func training(_ stage: String, _ estimate: MemoryEstimate, beside held: Int) -> MemoryNeed {
    // Nil for a technique that trains few of the weights.
    guard let memory = technique.trainingMemory else {
      return MemoryNeed(
        stage, .gradients(samples: 1) { held + estimate.gradients(samples: $0, $1, withWeights: false) })
    }
    return MemoryNeed(
      stage,
      .gradients(samples: memory.samplesAtATime(estimate.weights(of: memory.group))) {
        held + estimate.training(memory, samples: $0, $1)
      })
  }
}
