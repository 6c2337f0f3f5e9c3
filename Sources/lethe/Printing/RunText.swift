import Configuration
import Store
import Workbench

/// A run as the command line prints it, in JSON and in words.
enum RunText {
  /// The form in which `run`, `ls` and `show` give a run to other programs.
  static func json(_ facts: RunFacts) -> JSON {
    let run = facts.run
    return [
      "run_id": .string(run.runID.hex), "config_hash": .string(run.configHash.hex), "experiment": .string(run.experiment),
      "technique": .string(run.technique), "seed": run.seed.map(JSON.integer) ?? .null, "set": settings(of: run),
      "status": .string(run.status), "error": run.error.map(JSON.string) ?? .null,
      "stages": .array(
        facts.stages.map {
          [
            "name": .string($0.name), "key": .string($0.key.hex), "cached": .bool($0.cached),
            "seconds": .number($0.seconds),
          ]
        }),
      "metrics": .array(facts.metrics.map(json(of:))),
      "outputs": .array(facts.outputs.map { ["name": .string($0.name), "digest": .string($0.digest.hex)] }),
      "started": .string(run.started), "finished": .string(run.finished), "tags": .array(facts.tags.map(JSON.string)),
    ]
  }

  static func json(of metric: MetricRow) -> JSON {
    [
      "name": .string(metric.name), "value": metric.value.map(JSON.number) ?? .null,
      "direction": .string(metric.direction), "unit": .string(metric.unit),
      "count": metric.count.map(JSON.integer) ?? .null, "judge": metric.judge.map(JSON.string) ?? .null,
    ]
  }

  /// What a sweep or the command line set, by key path.
  static func settings(of run: RunRow) -> JSON { (try? JSON.parse(run.settings, file: "settings")) ?? [:] }

  /// `alpha=5`: the settings by the last part of their key paths, which is enough to tell runs of a sweep apart.
  static func shortSettings(_ settings: JSON) -> String {
    let members = (settings.object ?? [:]).sorted { $0.key < $1.key }
    return members.map { keyPath, value in
      let key = keyPath.split(separator: ".").last.map(String.init) ?? keyPath
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
  static func fixed(_ value: Double, _ digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let whole = (abs(value) * scale).rounded()
    guard whole < 1e18 else { return "\(value)" }
    let text = String(Int(whole))
    let padded = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
    let sign = value < 0 && whole > 0 ? "-" : ""
    return sign + padded.dropLast(digits) + (digits > 0 ? "." + padded.suffix(digits) : "")
  }

  /// One line for each metric: value, unit, number of images, judge.
  static func metrics(_ metrics: [MetricRow], indent: String = "") -> String {
    var columns = Columns(numbers: [1])
    for metric in metrics {
      let arrow = metric.direction == "higher" ? "↑" : metric.direction == "lower" ? "↓" : " "
      var notes = [metric.unit]
      if let count = metric.count { notes.append("n = \(count)") }
      if let judge = metric.judge { notes.append("judged by \(judge)") }
      columns.add("\(indent)\(metric.name) \(arrow)", number(metric.value), notes.joined(separator: ", "))
    }
    return columns.text()
  }

  /// `2026-11-21 11:22:31`, in UTC as recorded.
  static func time(_ timestamp: String) -> String {
    String(timestamp.prefix(19)).replacing("T", with: " ")
  }
}
