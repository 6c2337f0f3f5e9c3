import Configuration
import Synchronization

/// The file that is being hashed, on standard error; nothing for files that take less than two seconds.
final class HashingProgress: Sendable {
  private struct State {
    let line = ProgressLine(patience: 2)
    var began = ContinuousClock.now
    var path = ""
  }

  private let state = Mutex(State())

  /// Tells that `done` of `total` bytes of a file are hashed.
  func update(_ path: String, _ done: Int, _ total: Int) {
    state.withLock { state in
      if path != state.path { (state.path, state.began) = (path, .now) }
      guard total > 0, done < total else { return state.line.finish() }
      let fraction = Double(done) / Double(total)
      let seconds = state.began.duration(to: .now) / .seconds(1)
      let name = path.split(separator: "/").suffix(2).joined(separator: "/")
      state.line.update(
        "hashing \(name)", fraction: fraction, note: "of \(ByteCount(total))",
        secondsLeft: seconds / fraction * (1 - fraction))
    }
  }
}
