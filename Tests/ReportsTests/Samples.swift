import Configuration
import Reports

/// A run with one CER and one FID, as the tests need them.
func run(
  _ id: String, technique: String = "ssd", alpha: Double? = nil, seed: Int = 0, cer: Double? = 0.9, fid: Double? = 12,
  count: Int = 160, status: ReportedRun.Status = .finished, error: String? = nil, started: String = "2026-01-01",
  tags: [String] = []
) -> ReportedRun {
  let settings: [String: JSON] = alpha.map { ["alpha": .number($0)] } ?? [:]
  let group = "\(count)-\(technique)\(alpha.map { "-\($0)" } ?? "")"
  return ReportedRun(
    id: id, experiment: technique, technique: technique, configHash: group + "-\(seed)", groupHash: group, seed: seed,
    status: status, error: error, started: started, tags: tags,
    configuration: .object([
      "technique": .object(["name": .string(technique), "config": .object(settings)]), "seed": .integer(seed),
    ]),
    values: [
      MeasuredValue(
        name: "cer", value: cer, better: .higher, method: MeasuringMethod(count: count, judge: "object classifier")),
      MeasuredValue(name: "fid", value: fid, better: .lower, method: MeasuringMethod(count: 512)),
    ])
}

func spec(_ runs: [RunSelection], columns: [String] = ["cer", "fid"]) -> TableSpec {
  TableSpec(title: "Erasing circles", runs: runs, columns: columns.map { ColumnSpec(metric: $0) }, file: "table.json")
}

func select(
  _ technique: String, where values: JSON? = nil, label: String? = nil, tag: String? = nil, reference: Bool? = nil
) -> RunSelection {
  var selection = RunSelection()
  selection.technique = technique
  selection.label = label
  selection.tag = tag
  selection.reference = reference
  if let values, let parsed = KeyPathValues(values) { selection.values = parsed }
  return selection
}

/// A table of two rows against a reference, with a bar and a quote in its labels.
let sampleTable: ReportTable = {
  var table = ReportTable(
    title: "Erasing \"circle\" | shapes",
    columns: [
      ReportTable.Column(key: "cer", header: "CER", better: .higher),
      ReportTable.Column(key: "fid", header: "FID", better: .lower, digits: 1),
    ],
    rows: [
      ReportTable.Row(
        label: "base", technique: "base", configuration: "aa11", isReference: true,
        cells: [ReportTable.Cell(mean: 0.03125), ReportTable.Cell(mean: 9.5)],
        runs: [ReportTable.RunReference(id: "0123456789abcdef", seed: 0)]),
      ReportTable.Row(
        label: "SSD, alpha = 5", technique: "ssd", configuration: "bb22",
        cells: [
          ReportTable.Cell(mean: 0.9375, deviation: 0.0625, count: 2),
          ReportTable.Cell(mean: 14.25, deviation: 0.5, count: 2),
        ],
        runs: [
          ReportTable.RunReference(id: "1123456789abcdef", seed: 0),
          ReportTable.RunReference(id: "2123456789abcdef", seed: 1),
        ]),
      ReportTable.Row(
        label: "SSD, \"x|y\"", technique: "ssd", configuration: "cc33",
        cells: [ReportTable.Cell(mean: 0.5, deviation: 0.125, count: 2), nil],
        runs: [
          ReportTable.RunReference(id: "3123456789abcdef", seed: 0),
          ReportTable.RunReference(id: "4123456789abcdef", seed: 1),
        ]),
    ],
    notes: ["CER: n = 160, judged by object classifier."])
  table.markBest()
  return table
}()
