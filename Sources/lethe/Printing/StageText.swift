import Configuration
import Store

/// Cache entries and objects as `lethe show` prints them.
enum StageText {
  static func json(_ entry: CacheEntry, _ runs: [RunRow]) -> JSON {
    [
      "kind": "stage", "key": .string(entry.key.digest.hex), "stage": .string(entry.key.stage),
      "parts": entry.key.parts,
      "outputs": .object(entry.outputs.mapValues { .string($0.hex) }), "runs": ids(runs),
    ]
  }

  static func text(_ entry: CacheEntry, _ runs: [RunRow]) -> String {
    var columns = Columns()
    for (name, digest) in entry.outputs.sorted(by: { $0.key < $1.key }) { columns.add("output", "\(name)  \(digest)") }
    columns.add("runs", used(runs))
    return "\(Style.bold("stage \(entry.key.stage)")) \(entry.key.digest)\n\n\(columns.text())\n\n"
      + entry.key.parts.pretty()
  }

  static func json(_ object: Digest, _ bytes: Int, _ runs: [RunRow]) -> JSON {
    ["kind": "object", "digest": .string(object.hex), "bytes": .integer(bytes), "runs": ids(runs)]
  }

  static func text(_ object: Digest, _ bytes: Int, _ store: Store, _ runs: [RunRow]) -> String {
    var columns = Columns()
    columns.add("bytes", "\(bytes)")
    columns.add("file", store.objects.path(of: object))
    columns.add("content", "lethe show \(object.short) --content")
    columns.add("output of", used(runs))
    return "\(Style.bold("object")) \(object)\n\n\(columns.text())"
  }

  private static func ids(_ runs: [RunRow]) -> JSON { .array(runs.map { .string($0.runID.hex) }) }

  private static func used(_ runs: [RunRow]) -> String {
    runs.isEmpty ? "none" : runs.map { "\($0.runID.short) (\($0.experiment))" }.joined(separator: ", ")
  }
}
