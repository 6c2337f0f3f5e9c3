import Configuration
import Reports
import Testing

@Suite("Differences in tables")
struct DifferenceTests {
  /// Two rows, each with a value under an attack and one of its control.
  private func runs(_ weak: Double, _ strong: Double, control: Double = 0.8) -> [ReportedRun] {
    [("weak", weak), ("strong", strong)].map { technique, value in
      var run = run(technique, technique: technique)
      run.values = [
        MeasuredValue(name: "cer_x", value: value, better: .higher, interval: value - 0.1...value + 0.05),
        MeasuredValue(name: "cer_x_control", value: control, better: .higher, interval: control - 0.1...control + 0.05),
      ]
      return run
    }
  }

  private let columns = [
    ColumnSpec(metric: "cer_x", label: "X", interval: true, control: "cer_x_control"),
    ColumnSpec(metric: "cer_x_control", label: "its control", interval: true),
  ]

  private func table(_ runs: [ReportedRun], differences: [JSON] = []) throws -> ReportTable {
    var wanted = spec([select("weak", label: "weak"), select("strong", label: "strong")])
    wanted.columns = columns
    wanted.differences = try differences.map {
      try DifferenceSpec.parse($0, file: "table.json", keyPath: "differences")
    }
    return try TableBuilder(wanted, runs: runs).table
  }

  @Test("the interval of a difference combines the distances to the ends that could bring the two together")
  func interval() throws {
    let cell = try #require(try table(runs(0.5, 0.9)).rows[0].cells[0])
    let difference = try #require(cell.fromControl)
    #expect(abs(difference.mean + 0.3) < 1e-12)
    let interval = try #require(difference.interval)
    #expect(abs(interval.lowerBound - (-0.3 - (0.1 * 0.1 + 0.05 * 0.05).squareRoot())) < 1e-12)
    #expect(abs(interval.upperBound - (-0.3 + (0.05 * 0.05 + 0.1 * 0.1).squareRoot())) < 1e-12)
  }

  @Test("only what lies off its control by more than chance gets a mark, and the legend says what it means")
  func marks() throws {
    let table = try table(runs(0.5, 0.75))
    let markdown = Markdown.document(table)
    #expect(markdown.contains(#"0.50 \[0.40, 0.55\] †"#))
    #expect(markdown.contains(#"0.75 \[0.65, 0.80\]**"#))
    #expect(markdown.contains("† lies below its control by more than chance."))
    #expect(!markdown.contains("‡"))
    #expect(TerminalTable.text(try self.table(runs(0.5, 1)), styled: false).contains("‡ lies above its control"))
    #expect(CSV.document(table).contains("cer_x.upper,cer_x.from_control,cer_x.from_control.lower"))
  }

  @Test("a difference of rows stands under them with its sign, and competes for nothing")
  func rows() throws {
    let table = try table(runs(0.5, 0.75), differences: [["row": "strong", "less": "weak"]])
    #expect(table.rows.count == 2)
    #expect(table.differences.map(\.label) == ["strong less weak"])
    #expect(Markdown.grid(table).contains(#"+0.25 \[0.14, 0.36\]"#))
    #expect(TerminalTable.text(table, styled: false).contains("strong less weak"))
    #expect(CSV.document(table).contains("strong less weak,,,,,0.25,"))
    #expect(table.json["differences"]?.array?.count == 1)
    #expect(table.differences[0].cells.allSatisfy { $0?.isBest == false })
  }

  @Test("a row whose runs are not there yet leaves its difference out, and a note says so")
  func missingRow() throws {
    let table = try table([runs(0.5, 0.75)[0]], differences: [["row": "strong", "less": "weak"]])
    #expect(table.differences.isEmpty)
    #expect(table.notes.contains("There is no difference of strong and weak without the runs of both."))
  }

  @Test("a label that no row has is refused with the nearest one")
  func unknownRow() {
    let error = #expect(throws: ConfigurationError.self) {
      try table(runs(0.5, 0.75), differences: [["row": "strnog", "less": "weak"]])
    }
    #expect(error?.description.contains("differences.0.row: no row has the label \"strnog\"") == true)
    #expect(error?.description.contains("\"strong\"") == true)
  }

  @Test(
    "a control that is no column, or that has no interval, is refused",
    arguments: [
      (["metric": "a", "interval": true, "control": "bb"], "columns.0.control: no column shows \"bb\""),
      (["metric": "a", "interval": true, "control": "b"], "columns.0.control: a comparison needs \"interval\": true"),
    ] as [(JSON, String)])
  func badControl(column: JSON, message: String) {
    let json: JSON = ["title": "t", "runs": [["technique": "ssd"]], "columns": [column, "b"]]
    let error = #expect(throws: ConfigurationError.self) { try TableSpec.parse(json, file: "t.json") }
    #expect(error?.description.contains(message) == true)
  }
}
