/// How long work tells of its progress and is asked to stop.
public struct WorkMonitor {
  /// Called with the units done and the units there are.
  public var progress: (_ done: Int, _ total: Int) -> Void
  /// Asked between units.
  public var isCancelled: () -> Bool

  public init(
    progress: @escaping (Int, Int) -> Void = { _, _ in }, isCancelled: @escaping () -> Bool = { false }
  ) {
    self.progress = progress
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
