/// How long work tells of its progress and is asked to stop.
public struct WorkMonitor {
  /// Called with the units done and the units there are.
  public var progress: (_ done: Int, _ total: Int) -> Void
  /// Called with the loss of a training step, before the progress of that step.
  public var loss: (Float) -> Void
  /// Asked between units.
  public var isCancelled: () -> Bool

  public init(
    progress: @escaping (Int, Int) -> Void = { _, _ in }, loss: @escaping (Float) -> Void = { _ in },
    isCancelled: @escaping () -> Bool = { false }
  ) {
    self.progress = progress
    self.loss = loss
    self.isCancelled = isCancelled
  }

  /// Tells of progress.
  ///
  /// - Throws: `CancellationError` where the work should stop.
  public func advance(to done: Int, of total: Int) throws {
    progress(done, total)
    if isCancelled() { throw CancellationError() }
  }
}
