import Glibc
import Synchronization
import Tensors

/// One line that says how far a piece of work has come and how long it will take yet: redrawn on a terminal, a plain
/// line every quarter of a minute elsewhere. Work that is done within a second shows nothing.
final class ProgressLine {
  private let isTerminal: Bool
  /// The seconds before anything is shown.
  private let patience: Double
  private var label = ""
  private var began = 0.0
  private var doneAtBeginning = 0
  private var shown = 0.0

  init(isTerminal: Bool = Console.errorIsTerminal, patience: Double = 1) {
    (self.isTerminal, self.patience) = (isTerminal, patience)
  }

  /// The work of a command, reporting here and ending on Ctrl-C.
  func monitor(_ label: String) -> WorkMonitor {
    WorkMonitor(
      progress: { [self] done, total in update(label, done, of: total) }, isCancelled: { Interruption.wasAsked })
  }

  /// Tells that `done` of `total` units of the work called `label` are finished.
  func update(_ label: String, _ done: Int, of total: Int) {
    begin(label, done)
    guard total > 0 else { return }
    // What was there at the beginning says nothing about the pace.
    let (new, all) = (done - doneAtBeginning, total - doneAtBeginning)
    let left = new > 0 ? (Self.seconds() - began) * Double(all - new) / Double(new) : nil
    show(Double(done) / Double(total), "\(done)/\(total)", secondsLeft: left)
  }

  /// Tells how far the work called `label` is, from 0 to 1, and what else there is to say of it.
  func update(_ label: String, fraction: Double, note: String? = nil, secondsLeft: Double?) {
    begin(label, 0)
    let figure = "\(Int((100 * fraction).rounded(.down))) %"
    show(fraction, [figure, note].compactMap(\.self).joined(separator: ", "), secondsLeft: secondsLeft)
  }

  /// Takes the line off the screen.
  func finish() {
    label = ""
    if isTerminal { Console.clearProgress() }
  }

  private func begin(_ label: String, _ done: Int) {
    guard label != self.label else { return }
    self.label = label
    began = Self.seconds()
    doneAtBeginning = done
    shown = began
  }

  private func show(_ fraction: Double, _ figure: String, secondsLeft: Double?) {
    let now = Self.seconds()
    guard now - began >= patience, now - shown >= (isTerminal ? 0.1 : 15) else { return }
    shown = now
    let left = secondsLeft.map { Self.duration($0) + " left" }
    guard isTerminal else {
      return Console.write("lethe: \([label + " " + figure, left].compactMap(\.self).joined(separator: ", "))\n")
    }
    let width = 24
    let full = min(width, max(0, Int(Double(width) * fraction)))
    let bar = String(repeating: "█", count: full) + String(repeating: "░", count: width - full)
    draw([label, bar, figure, left].compactMap(\.self).joined(separator: "  "))
  }

  private func draw(_ text: String) {
    let text = String(text.prefix(max(20, Console.errorWidth - 1)))
    let before = Console.progressWidth.exchange(text.count, ordering: .relaxed)
    Console.write("\r" + text + String(repeating: " ", count: max(0, before - text.count)))
  }

  /// A duration in words: `8 s`, `2 min 5 s`, `1 h 10 min`.
  static func duration(_ seconds: Double) -> String {
    let whole = seconds.isFinite ? Int(min(max(0, seconds), 1e9).rounded()) : 0
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }

  private static func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
