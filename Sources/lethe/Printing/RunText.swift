import Configuration
import Reports
import Store
import Workbench

/// A run in words.
enum RunText {
  /// What a sweep or the command line set, by key path.
  static func settings(of run: RunRow) -> JSON { (try? JSON.parse(run.settings, file: "settings")) ?? [:] }

  /// `alpha=5`: the settings by the last part of their key paths, which is enough to tell runs of a sweep apart.
  static func shortSettings(_ settings: JSON) -> String {
    let members = (settings.object ?? [:]).sorted { $0.key < $1.key }
    return members.map { keyPath, value in
      let parts = keyPath.split(separator: ".")
      // A metric's setting needs the metric's name: several have a limit.
      let ofMetric = parts.first == "metrics" && parts.count > 2
      let key = ofMetric ? "\(parts[1]).\(parts[parts.count - 1])" : String(parts.last ?? "")
      return "\(key)=\(value.string ?? value.canonical())"
    }.joined(separator: " ")
  }

  /// A metric's value with as many digits as it deserves.
  static func number(_ value: Double?) -> String {
    guard let value else { return "undefined" }
    if value == value.rounded(), abs(value) < 1e15 { return String(Int(value)) }
    let digits = abs(value) >= 100 ? 1 : abs(value) >= 10 ? 2 : abs(value) >= 0.001 ? 4 : 6
    return fixed(value, digits)
  }

  /// A number with a fixed number of digits behind the point.
  static func fixed(_ value: Double, _ digits: Int) -> String { Reports.fixed(value, digits: digits) }

  /// One line for each metric: value, 95 % interval, unit, number of images, judge.
  static func metrics(_ metrics: [RunRecord.Metric], indent: String = "") -> String {
    var columns = Columns(numbers: [1])
    for metric in metrics {
      let arrow = metric.direction == "higher" ? "↑" : metric.direction == "lower" ? "↓" : " "
      var notes = [metric.unit]
      if let count = metric.count { notes.append("n = \(count)") }
      if let judge = metric.judge, !judge.isEmpty { notes.append("judged by \(judge)") }
      let interval = metric.interval.map { "[\(number($0.lower)), \(number($0.upper))]" } ?? ""
      columns.add("\(indent)\(metric.name) \(arrow)", number(metric.value), interval, notes.joined(separator: ", "))
    }
    return columns.text()
  }

  /// Runs that were just made: each with its metrics.
  static func summaries(_ outcomes: [RunOutcome], of count: Int) -> String {
    var parts = outcomes.map { outcome in
      let record = outcome.record
      let settings = shortSettings(.object(record.settings))
      let name = [record.name, settings, "seed \(record.seed)"].filter { !$0.isEmpty }.joined(separator: " ")
      let head = "\(Style.bold("run \(outcome.run.short)")) \(name): \(record.status.rawValue)"
      return record.metrics.isEmpty ? head : head + "\n" + RunText.metrics(record.metrics, indent: "  ")
    }
    if outcomes.count < count { parts.append("\(count - outcomes.count) of \(count) runs were not begun") }
    return parts.joined(separator: "\n\n")
  }

  /// `2026-11-21 11:22:31`, in UTC as recorded.
  static func time(_ timestamp: String) -> String {
    String(timestamp.prefix(19)).replacing("T", with: " ")
  }
}
