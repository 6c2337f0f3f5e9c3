internal import Configuration

/// Names rows by what sets them apart: the technique, and the settings in which rows of the same technique differ.
enum RowLabels {
  /// One label for each run; equal labels only for runs of the same configuration but for the seed.
  ///
  /// A template such as "SSD, α = {alpha}" takes the place of the technique's name and of the settings it mentions.
  static func labels(for rows: [(run: ReportedRun, template: String?)]) -> [String] {
    var labels = rows.map { row in
      row.template.map { filled($0, from: row.run.configuration) } ?? row.run.technique
    }
    // First the settings of the technique, then all others, and the hash where nothing readable tells them apart.
    for scope in [Scope.technique, .everything, .hash] {
      let shared = Set(labels).sorted()
      for label in shared {
        let members = labels.indices.filter { labels[$0] == label }
        guard Set(members.map { rows[$0].run.groupHash }).count > 1 else { continue }
        let paths = settings(thatDifferAmong: members.map { rows[$0].run.configuration }).filter {
          scope == .everything || $0.hasPrefix("technique.")
        }
        for index in members {
          let run = rows[index].run
          if scope == .hash {
            labels[index] += " (\(run.groupHash.prefix(8)))"
          } else {
            let parts = paths.map { "\(shortName($0)) = \(short(run.configuration.value(at: $0)))" }
            labels[index] = ([labels[index]] + parts).joined(separator: ", ")
          }
        }
      }
    }
    return labels
  }

  private enum Scope { case technique, everything, hash }

  /// The key paths, sorted, at which some of the configurations differ; a list is one value. Settings that only say
  /// where things are put, and the seed, are passed over.
  static func settings(thatDifferAmong configurations: [JSON]) -> [String] {
    var values: [String: [JSON?]] = [:]
    for (index, configuration) in configurations.enumerated() {
      for (path, value) in leaves(of: configuration, under: "") {
        values[path, default: Array(repeating: nil, count: configurations.count)][index] = value
      }
    }
    return values.filter { path, values in
      !ignored.contains(path.split(separator: ".").last.map(String.init) ?? path)
        && !values.allSatisfy { $0 == values[0] }
    }.keys.sorted()
  }

  private static let ignored = [
    "seed", "seeds", "output_dir", "tags", "sweep", "save_path", "device",
  ]

  /// Whether one run stands before another: by the first setting in which they differ, numbers by size, else by time.
  static func precedes(_ a: ReportedRun, _ b: ReportedRun, by paths: [String]) -> Bool {
    for path in paths {
      let left = a.configuration.value(at: path)
      let right = b.configuration.value(at: path)
      if left == right { continue }
      if let left = left?.number, let right = right?.number { return left < right }
      return (left ?? .null).canonical() < (right ?? .null).canonical()
    }
    return (a.started, a.id) < (b.started, b.id)
  }

  private static func leaves(of json: JSON, under path: String) -> [(String, JSON)] {
    func child(_ key: String) -> String { path.isEmpty ? key : path + "." + key }
    switch json {
    case .object(let members):
      return members.sorted { $0.key < $1.key }.flatMap { leaves(of: $0.value, under: child($0.key)) }
    case .array(let elements) where elements.contains { $0["name"]?.string != nil }:
      return elements.enumerated().flatMap {
        leaves(of: $0.element, under: child($0.element["name"]?.string ?? "\($0.offset)"))
      }
    default:
      return [(path, json)]
    }
  }

  /// `{alpha}` and `{technique.config.alpha}` replaced by the values; a name that is not there stays as written.
  static func filled(_ template: String, from configuration: JSON) -> String {
    var result = ""
    var rest = template[...]
    while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
      let name = String(rest[rest.index(after: open)..<close])
      let value = configuration.value(at: "technique.config." + name) ?? configuration.value(at: name)
      result += rest[..<open] + (value.map(short) ?? String(rest[open...close]))
      rest = rest[rest.index(after: close)...]
    }
    return result + rest
  }

  /// A setting's last name, with the metric it belongs to: `alpha`, `fid limit`.
  static func shortName(_ path: String) -> String {
    let parts = path.split(separator: ".").map(String.init)
    guard parts.count > 2, parts[0] == "metrics" else { return parts.last ?? path }
    return parts[1] + " " + (parts.last ?? "")
  }

  private static func short(_ value: JSON?) -> String {
    guard let value else { return "unset" }
    if value.isNull { return "unset" }
    if let list = value.array, value.canonical().count > 24 { return "\(list.count) entries" }
    let text = plain(value)
    return text.count > 32 ? text.prefix(31) + "…" : text
  }
}
