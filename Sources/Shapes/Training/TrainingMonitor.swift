public import Tensors

#if canImport(Glibc)
  internal import Glibc
#endif

/// Training was asked to stop; its state is on disk and the next start goes on from it.
public struct TrainingInterrupted: Error, CustomStringConvertible {
  public let part: String
  public let step: Int
  public var description: String {
    "training of \(part) was interrupted after step \(step); the next start goes on from there"
  }
}

/// What training tells the outside, and asks it.
public struct TrainingMonitor {
  /// A folder for the states from which an interrupted training goes on.
  public var stateFolder: String
  /// Called after every step.
  public var report: (_ part: String, _ report: Trainer.Report, _ steps: Int) -> Void
  /// Asked after every step.
  public var shouldStop: () -> Bool

  public init(
    stateFolder: String, report: @escaping (String, Trainer.Report, Int) -> Void, shouldStop: @escaping () -> Bool
  ) {
    self.stateFolder = stateFolder
    self.report = report
    self.shouldStop = shouldStop
  }

  /// The time between two saved states.
  private static let interval = Duration.seconds(60)

  /// Runs a trainer to its end, from its saved state where there is one.
  ///
  /// - Throws: ``TrainingInterrupted`` once the state is saved, where ``shouldStop`` said so.
  func run(_ trainer: Trainer, part: String, loss: (_ step: Int, _ microBatch: Int, Weights) throws -> Tensor) throws {
    let state = "\(stateFolder)/\(part).state.safetensors"
    if access(state, F_OK) == 0 { try trainer.resume(from: state) }
    // A clock that nobody sets back: else no state would be saved until it had caught up.
    var lastSave = ContinuousClock.now
    while !trainer.isFinished {
      let step = trainer.step
      let done = try trainer.advance { microBatch, weights in try loss(step, microBatch, weights) }
      report(part, done, trainer.settings.steps)
      guard done.loss.isFinite else { throw TrainingDiverged(part: part, step: done.step) }
      let stops = shouldStop()
      if stops || trainer.isFinished || lastSave.duration(to: .now) >= TrainingMonitor.interval {
        try trainer.save(to: state)
        lastSave = .now
      }
      if stops && !trainer.isFinished { throw TrainingInterrupted(part: part, step: done.step) }
    }
  }
}

/// The loss is no number any more.
public struct TrainingDiverged: Error, CustomStringConvertible {
  public let part: String
  public let step: Int
  public var description: String {
    "training of \(part) diverged: the loss of step \(step) is not a number; lower the learning_rate"
  }
}
