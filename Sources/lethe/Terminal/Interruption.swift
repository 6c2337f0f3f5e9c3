import Glibc
import Synchronization

/// Ctrl-C as a flag that work asks for between two steps, so that what is finished is kept. A second Ctrl-C ends the
/// program at once.
enum Interruption {
  private static let flag = Atomic<Bool>(false)

  static var wasAsked: Bool { flag.load(ordering: .relaxed) }

  /// From here on Ctrl-C sets the flag instead of ending the program.
  static func listen() {
    signal(SIGINT) { _ in
      Interruption.flag.store(true, ordering: .relaxed)
      signal(SIGINT, SIG_DFL)
    }
    // A program that starts this one from a worker thread hands its blocked signals on.
    var interrupt = sigset_t()
    sigemptyset(&interrupt)
    sigaddset(&interrupt, SIGINT)
    pthread_sigmask(SIG_UNBLOCK, &interrupt, nil)
  }
}
