import Glibc
import Tensors

/// One line that says how far a piece of work has come and how long it will take yet: redrawn on a terminal, a plain
/// line every quarter of a minute elsewhere. Work that is done within a second shows nothing.
final class ProgressLine {
  private let started = ProgressLine.seconds()
  private var label: String
  private var stageStarted: Double
  private var startedAt = 0
  private var shown = 0.0
  private let isTerminal: Bool
  private let isSilent: Bool

  /// - Parameter isSilent: shows nothing at all
  init(_ label: String = "", isTerminal: Bool = Console.errorIsTerminal, isSilent: Bool = false) {
    self.label = label
    self.isTerminal = isTerminal
    self.isSilent = isSilent
    stageStarted = started
    // The first plain line comes after a while, the first bar soon.
    shown = isTerminal ? started : started - 5
  }

  /// The work of a command, reporting here and ending on Ctrl-C.
  func monitor(_ label: String) -> WorkMonitor {
    WorkMonitor(
      progress: { [self] done, total in update(label, done, total) }, isCancelled: { Interruption.wasAsked })
  }

  /// Tells that `done` of `total` units of the work called `label` are finished.
  func update(_ label: String, _ done: Int, _ total: Int) {
    let now = Self.seconds()
    if label != self.label || done < startedAt {
      self.label = label
      stageStarted = now
      // What a cache had already says nothing about the pace.
      startedAt = done
    }
    guard !isSilent, total > 0, now - started >= 1 else { return }
    let left = Self.timeLeft(now - stageStarted, done - startedAt, total - startedAt)
    if isTerminal {
      guard now - shown >= 0.1 || done == total else { return }
      shown = now
      draw("\(label)  \(Self.bar(done, total))  \(done)/\(total)\(left.map { "  \($0) left" } ?? "")")
    } else if now - shown >= 15 {
      shown = now
      Console.write("lethe: \(label) \(done)/\(total)\(left.map { ", \($0) left" } ?? "")\n")
    }
  }

  /// Takes the line off the screen.
  func finish() { if isTerminal { Console.clearProgress() } }

  private func draw(_ text: String) {
    let text = String(text.prefix(max(20, Console.errorWidth - 1)))
    let before = Console.progressWidth.exchange(text.count, ordering: .relaxed)
    Console.write("\r" + text + String(repeating: " ", count: max(0, before - text.count)))
  }

  private static func bar(_ done: Int, _ total: Int) -> String {
    let width = 24
    let full = min(width, width * done / total)
    return String(repeating: "█", count: full) + String(repeating: "░", count: width - full)
  }

  /// The time that the rest will take at the pace so far, once there is a pace.
  static func timeLeft(_ elapsed: Double, _ done: Int, _ total: Int) -> String? {
    guard done > 0, elapsed > 0, total >= done else { return nil }
    return duration(elapsed * Double(total - done) / Double(done))
  }

  /// A duration in words: `8 s`, `2 min 5 s`, `1 h 10 min`.
  static func duration(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded())
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
