import Glibc
import Synchronization

/// Ctrl-C, or the end that `kill` and a batch system ask for, as a flag that work looks at between two steps, so that
/// what is finished is kept and recorded. The second time it ends the program at once.
enum Interruption {
  private static let number = Atomic<Int32>(0)

  static var wasAsked: Bool { signal != 0 }

  /// The signal that asked; 0 where none did.
  static var signal: Int32 { number.load(ordering: .relaxed) }

  /// From here on these signals set the flag instead of ending the program.
  static func listen() {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM] {
      Glibc.signal(signal) { signal in
        Interruption.number.store(signal, ordering: .relaxed)
        Glibc.signal(signal, SIG_DFL)
      }
      sigaddset(&signals, signal)
    }
    // A program that starts this one from a worker thread hands its blocked signals on.
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }
}
