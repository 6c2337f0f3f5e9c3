import Configuration
import Store
import Workbench

/// A comparison of runs as `lethe compare` prints it.
enum ComparisonText {
  static func json(_ comparison: RunComparison) -> JSON {
    [
      "runs": .array(comparison.runs.map { .string($0.hex) }),
      "config": .array(comparison.config.map(json)), "surroundings": .array(comparison.surroundings.map(json)),
      "metrics": .array(
        comparison.metrics.map { metric in
          [
            "name": .string(metric.name), "direction": .string(metric.direction), "unit": .string(metric.unit),
            "values": numbers(metric.values), "changes": numbers(metric.changes),
            "counts": .array(metric.counts.map { $0.map(JSON.integer) ?? .null }),
            "judges": .array(metric.judges.map { $0.map(JSON.string) ?? .null }),
            "standard_errors": numbers(metric.standardErrors), "comparable": .bool(metric.isComparable),
            "unlike": .array(metric.unlike.map(JSON.string)),
            "intervals": .array(metric.intervals.map { $0?.json ?? .null }),
            "fingerprints": .array(metric.protocols.map { ($0?.fingerprint).map(JSON.string) ?? .null }),
          ]
        }),
      "outputs": [
        "equal": .array(comparison.equalOutputs.map(JSON.string)),
        "different": .array(comparison.otherOutputs.map(JSON.string)),
      ],
    ]
  }

  private static func json(_ difference: RunComparison.Difference) -> JSON {
    ["key_path": .string(difference.keyPath), "values": .array(difference.values.map { $0 ?? .null })]
  }

  private static func numbers(_ values: [Double?]) -> JSON { .array(values.map { $0.map(JSON.number) ?? .null }) }

  static func text(_ comparison: RunComparison, _ records: [RunRecord]) -> String {
    let heads = comparison.runs.map(\.short)
    var runs = Columns()
    for (id, record) in zip(comparison.runs, records) {
      runs.add(
        id.short, record.name, record.technique, RunText.shortSettings(.object(record.settings)), "seed \(record.seed)",
        RunText.time(record.started) + " UTC", record.status.rawValue)
    }
    var parts = [runs.text()]
    parts.append(section("settings", differences(comparison.config, heads, otherwise: "  the same")))
    if !comparison.surroundings.isEmpty {
      parts.append(section("code and machine", differences(comparison.surroundings, heads, otherwise: "")))
    }
    parts.append(section("metrics", metrics(comparison.metrics, heads)))
    let (equal, other) = (comparison.equalOutputs.count, comparison.otherOutputs.count)
    if equal + other > 0 {
      parts.append(section("outputs", "  \(equal) of \(equal + other) that they share are the same bytes"))
    }
    return parts.joined(separator: "\n\n")
  }

  private static func differences(
    _ differences: [RunComparison.Difference], _ heads: [String], otherwise: String
  ) -> String {
    guard !differences.isEmpty else { return otherwise }
    var columns = Columns([""] + heads)
    for difference in differences {
      columns.add(["  " + difference.keyPath] + difference.values.map { shortened($0?.canonical() ?? "absent") })
    }
    return columns.text()
  }

  private static func metrics(_ metrics: [RunComparison.Measure], _ heads: [String]) -> String {
    guard !metrics.isEmpty else { return "  none" }
    var columns = Columns([""] + heads + [""], numbers: Set(1...max(1, heads.count)))
    for metric in metrics {
      let arrow = metric.direction == "higher" ? "↑" : metric.direction == "lower" ? "↓" : " "
      let cells = metric.values.indices.map { index -> String in
        let value = metric.values[index].map(RunText.number) ?? "none"
        guard index > 0, let change = metric.changes[index], change != 0 else { return value }
        let errors = metric.standardErrors[index].map { ", \(RunText.fixed(abs($0), 1)) SE" } ?? ""
        return "\(value) (\(change > 0 ? "+" : "-")\(RunText.number(abs(change)))\(errors))"
      }
      let note = metric.isComparable ? "" : "not measured alike: other \(metric.unlike.joined(separator: ", "))"
      columns.add(["  \(metric.name) \(arrow)"] + cells + [note])
    }
    return columns.text()
  }

  private static func shortened(_ text: String) -> String {
    text.count > 60 ? text.prefix(57) + "..." : text
  }

  private static func section(_ title: String, _ body: String) -> String { Style.bold(title) + "\n" + body }
}
