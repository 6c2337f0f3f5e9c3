import Configuration
import Store
import Workbench

/// A run's record as `lethe show` prints it.
enum RecordText {
  static func text(_ record: RunRecord, run: Digest) -> String {
    var parts = [heading(record, run)]
    if !record.metrics.isEmpty {
      parts.append(section("metrics", RunText.metrics(record.metrics, indent: "  ")))
    }
    parts.append(section("stages", stages(record)))
    if !record.outputs.isEmpty {
      var outputs = Columns()
      for output in record.outputs { outputs.add("  " + output.name, output.digest.short) }
      parts.append(section("outputs", outputs.text()))
    }
    parts.append(section("git", indented(git(record.git))))
    parts.append(section("machine", indented(machine(record.environment))))
    if !record.warnings.isEmpty {
      parts.append(section("warnings", record.warnings.map { "  " + $0 }.joined(separator: "\n")))
    }
    parts.append(section("experiment", indented(record.experiment.pretty())))
    return parts.joined(separator: "\n\n")
  }

  private static func heading(_ record: RunRecord, _ run: Digest) -> String {
    var columns = Columns()
    columns.add("config", record.configHash.hex)
    columns.add("experiment", record.name + (record.file.map { " (\($0))" } ?? ""))
    columns.add("technique", record.technique)
    columns.add("seed", "\(record.seed)")
    if !record.settings.isEmpty {
      columns.add(
        "set",
        record.settings.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.canonical())" }
          .joined(separator: " "))
    }
    columns.add("started", RunText.time(record.started) + " UTC")
    columns.add("finished", RunText.time(record.finished) + " UTC")
    if !record.tags.isEmpty { columns.add("tags", record.tags.joined(separator: ", ")) }
    let status = record.error.map { "\(record.status.rawValue): \($0)" } ?? record.status.rawValue
    return "\(Style.bold("run")) \(run)\n\(status)\n\n" + columns.text()
  }

  private static func stages(_ record: RunRecord) -> String {
    var columns = Columns(numbers: [2])
    for stage in record.stages {
      let seconds = RunText.fixed(stage.seconds, 2) + " s"
      columns.add("  " + stage.name, stage.key.short, stage.cached ? "cached" : seconds, details(stage.details))
    }
    return columns.text()
  }

  private static func details(_ details: JSON?) -> String {
    let figures = (details?.object ?? [:]).sorted { $0.key < $1.key }.compactMap { key, value -> String? in
      switch value {
      case .integer, .number: "\(key) \(RunText.number(value.number))"
      case .string(let text): "\(key) \(Digest(hex: text)?.short ?? text)"
      default: nil
      }
    }
    return figures.joined(separator: ", ")
  }

  private static func git(_ git: GitState) -> String {
    guard let commit = git.commit else {
      return git.repository == .none ? "no repository" : "no commit yet (\(git.repository.rawValue))"
    }
    let branch = git.branch.map { " on \($0)" } ?? ""
    let changes = git.isDirty ? ", with uncommitted changes" : ", clean"
    let omitted = git.omitted.isEmpty ? "" : " (\(git.omitted.count) large files only by digest)"
    return commit + branch + changes + omitted
  }

  private static func machine(_ machine: Environment) -> String {
    var columns = Columns()
    columns.add("processor", "\(machine.processor) (\(machine.architecture)), \(machine.threads) threads")
    columns.add("OpenBLAS", "\(machine.blasCore) kernels; \(machine.blasConfiguration)")
    columns.add("system", "\(machine.operatingSystem), \(machine.kernel)")
    columns.add("compiler", machine.swift)
    columns.add(
      "libraries", machine.libraries.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
    columns.add("sources", machine.sources.short)
    return columns.text()
  }

  private static func section(_ title: String, _ body: String) -> String { Style.bold(title) + "\n" + body }

  private static func indented(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { "  " + $0 }.joined(separator: "\n")
  }
}
