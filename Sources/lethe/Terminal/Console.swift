import Glibc
import Synchronization

/// Standard output for results, standard error for everything else.
enum Console {
  /// The line of progress that is on the screen and must make room for anything else.
  static let progressWidth = Atomic<Int>(0)

  /// Whether standard output and standard error are terminals that take escapes.
  static let outputIsTerminal = isTerminal(STDOUT_FILENO)
  static let errorIsTerminal = isTerminal(STDERR_FILENO)

  /// The columns of the terminal on standard output; 100 where there is none, so that what a pipe reads does not depend
  /// on where it was started.
  static var width: Int { outputIsTerminal ? columns(STDOUT_FILENO) : 100 }

  /// The columns of the terminal on standard error.
  static var errorWidth: Int { columns(STDERR_FILENO) }

  private static func columns(_ descriptor: Int32) -> Int {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 100 }
    return Int(size.ws_col)
  }

  /// A line, or several, of the result.
  static func print(_ text: String) {
    clearProgress()
    Swift.print(text)
  }

  /// A result as it is, to the byte: a patch of files in Latin-1 is no text that could be printed.
  static func print(bytes: [UInt8]) {
    clearProgress()
    flush()
    write(bytes, to: STDOUT_FILENO)
  }

  /// A line for whoever watches.
  static func note(_ text: String) {
    clearProgress()
    flush()
    write(text + "\n")
  }

  /// Something that is wrong and does not stop the work; what has been said before is not said again.
  static func warn(_ sentence: String) {
    guard warned.withLock({ $0.insert(sentence).inserted }) else { return }
    note("lethe: \(Style.yellow("warning:")) \(sentence)")
  }

  private static let warned = Mutex<Set<String>>([])

  /// Writes to standard error as it is.
  static func write(_ text: String) { write(Array(text.utf8), to: STDERR_FILENO) }

  private static func write(_ bytes: [UInt8], to descriptor: Int32) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      // Nobody reads: no reason to stop the work.
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  static func flush() { fflush(nil) }

  static func clearProgress() {
    let width = progressWidth.exchange(0, ordering: .relaxed)
    if width > 0 { write("\r" + String(repeating: " ", count: width) + "\r") }
  }

  private static func isTerminal(_ descriptor: Int32) -> Bool {
    guard isatty(descriptor) == 1 else { return false }
    return environment("TERM") != "dumb"
  }

  /// A variable of the environment, `nil` where it is unset or empty.
  static func environment(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }
}

/// Emphasis where there is a terminal to show it, plain text elsewhere and where NO_COLOR asks for it.
enum Style {
  static let isOn = Console.outputIsTerminal && Console.environment("NO_COLOR") == nil
  private static let isOnForErrors = Console.errorIsTerminal && Console.environment("NO_COLOR") == nil

  static func bold(_ text: String) -> String { styled(text, "1", isOn) }
  static func dim(_ text: String) -> String { styled(text, "2", isOn) }
  static func green(_ text: String) -> String { styled(text, "32", isOn) }

  /// For standard error.
  static func red(_ text: String) -> String { styled(text, "31", isOnForErrors) }
  static func yellow(_ text: String) -> String { styled(text, "33", isOnForErrors) }

  private static func styled(_ text: String, _ code: String, _ isOn: Bool) -> String {
    isOn ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
  }
}
