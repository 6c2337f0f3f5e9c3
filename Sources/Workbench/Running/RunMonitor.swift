internal import Configuration
internal import Tensors

/// How runs tell of their progress and are asked to stop.
///
/// Events come one after the other: on the thread that runs, and while threads draw or search, on one of these.
/// These may also ask at the same time whether to stop.
public struct RunMonitor {
  /// Takes what happens.
  public var handle: (RunEvent) -> Void
  /// Asked between stages, batches and sampling steps.
  public var isCancelled: () -> Bool

  public init(handle: @escaping (RunEvent) -> Void = { _ in }, isCancelled: @escaping () -> Bool = { false }) {
    self.handle = handle
    self.isCancelled = isCancelled
  }
}

extension RunMonitor {
  /// Tells of the progress of a stage.
  func work(_ stage: String) -> WorkMonitor {
    let began = ContinuousClock.now
    let loss = SmoothedLoss()
    return WorkMonitor(
      progress: { done, total in
        guard total > 0 else { return }
        let fraction = min(1, Double(done) / Double(total))
        let left = fraction > 0 ? seconds(since: began) / fraction * (1 - fraction) : nil
        handle(.progress(stage: stage, fraction: fraction, loss: loss.last, secondsLeft: left))
      }, loss: { loss.add($0) }, isCancelled: isCancelled)
  }
}

/// A running average of the last ten losses or so: single steps of diffusion training say little.
private final class SmoothedLoss {
  private(set) var last: Double?

  func add(_ loss: Float) { last = last.map { 0.9 * $0 + 0.1 * Double(loss) } ?? Double(loss) }
}

/// Something that happens while experiments run.
public enum RunEvent {
  /// A point begins; `number` counts from one.
  case runStarted(ExperimentPoint, number: Int, of: Int)
  /// The cache does not have a stage's result: it is computed now. `units` are what is new of it, for example images.
  case stageStarted(String, units: Int?)
  /// How far the stage is that is being computed, from 0 to 1, the loss where it trains, and how long it will still
  /// take at the present rate.
  case progress(stage: String, fraction: Double, loss: Double?, secondsLeft: Double?)
  /// A stage is done, by the cache or by computing it.
  case stageFinished(RunRecord.Stage)
  /// A sentence that the user should see.
  case warning(String)
  /// A point has ended, whichever way, and its record is in the store.
  case runFinished(RunOutcome)
}
