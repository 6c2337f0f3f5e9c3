import Synchronization
import Workbench

/// The bar for models that are timed. A pass of a large one takes many seconds and cannot tell how far it is, so that
/// the bar moves by the clock towards the time that is expected.
final class TimingBar: Sendable {
  private struct State {
    let line = ProgressLine()
    var began: ContinuousClock.Instant?
    var pieceBegan = ContinuousClock.now
    var progress: TimingProgress?
    var clock: Task<Void, Never>?
  }

  private let state = Mutex(State())

  /// Tells what is timed from now on.
  @Sendable func update(_ progress: TimingProgress) {
    state.withLock { state in
      guard !progress.isDone else {
        state.clock?.cancel()
        state.line.finish()
        (state.began, state.progress, state.clock) = (nil, nil, nil)
        return
      }
      if state.began == nil { state.began = .now }
      (state.pieceBegan, state.progress) = (.now, progress)
      guard state.clock == nil else { return }
      state.clock = Task.detached(priority: .high) { [self] in
        while !Task.isCancelled {
          draw()
          try? await Task.sleep(for: .milliseconds(100))
        }
      }
    }
  }

  private func draw() {
    state.withLock { state in
      guard let progress = state.progress, let began = state.began else { return }
      let taken = began.duration(to: .now) / .seconds(1)
      let ofPiece = state.pieceBegan.duration(to: .now) / .seconds(1)
      // What takes longer than expected will take a little yet.
      let left = max(progress.expected - ofPiece, progress.expected / 20) + progress.after
      state.line.update("timing \(progress.model)", fraction: taken / (taken + left), secondsLeft: left)
    }
  }
}
