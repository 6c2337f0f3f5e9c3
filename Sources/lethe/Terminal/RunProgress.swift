import Configuration
import Workbench

/// Runs as they happen, on standard error: one line for each run and each stage that is done, a bar for the one at
/// work.
final class RunProgress {
  private let line = ProgressLine()
  private var place = ""

  /// Reports here and ends on Ctrl-C.
  var monitor: RunMonitor {
    RunMonitor(handle: { [self] in handle($0) }, isCancelled: { Interruption.wasAsked })
  }

  private func handle(_ event: RunEvent) {
    switch event {
    case .runStarted(let point, let number, let count):
      let settings = RunText.shortSettings(.object(point.set))
      let name = [point.experiment, settings, "seed \(point.seed)"].filter { !$0.isEmpty }.joined(separator: " ")
      place = count > 1 ? "\(number)/\(count) " : ""
      Console.note("\(place)\(name)")
    case .stageStarted: break
    case .progress(let stage, let fraction, let loss, let secondsLeft):
      line.update(
        place + stage, fraction: fraction, note: loss.map { "loss \(RunText.number($0))" }, secondsLeft: secondsLeft)
    case .stageFinished(let stage):
      line.finish()
      // What the base model is takes no work worth a line.
      guard stage.name != "base" else { return }
      let time = stage.cached ? "cached" : RunText.fixed(stage.seconds, 1) + " s"
      let drawn = stage.details?["drawn"]?.integer
      let images = stage.details?["images"]?.integer
      let figures = drawn.flatMap { drawn in images.map { ", \(drawn) of \($0) drawn" } } ?? ""
      Console.note("  \(stage.name)  \(time)\(stage.cached ? "" : figures)")
    case .warning(let sentence): Console.warn(sentence)
    case .runFinished: line.finish()
    }
  }
}
