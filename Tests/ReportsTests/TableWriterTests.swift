import Configuration
import Reports
import Testing

@Suite struct TableWriterTests {
  @Test func markdownAlignsColumnsMarksTheBestAndNamesTheRuns() {
    #expect(
      Markdown.document(sampleTable, figures: [Markdown.Figure(caption: "CER against FID", path: "a plot.svg")]) == """
        # Erasing "circle" \\| shapes

        | technique      |           CER ↑ |       FID ↓ |
        | :------------- | --------------: | ----------: |
        | base           |    0.03 (n = 1) | 9.5 (n = 1) |
        | SSD, alpha = 5 | **0.94 ± 0.06** |  14.2 ± 0.5 |
        | SSD, "x\\|y"    |     0.50 ± 0.12 |           – |

        Mean ± sample standard deviation over 2 seeds. Best value of each column in bold; base is the reference and \
        does not compete.

        - CER: n = 160, judged by object classifier.

        ![CER against FID](a%20plot.svg)

        Runs:

        - base: 0123456789ab (seed 0)
        - SSD, alpha = 5: 1123456789ab (seed 0), 2123456789ab (seed 1)
        - SSD, "x\\|y": 3123456789ab (seed 0), 4123456789ab (seed 1)

        """)
  }

  @Test func csvKeepsEveryDigitAndQuotesByTheStandard() {
    #expect(
      CSV.document(sampleTable) == [
        "label,technique,configuration,seeds,runs,cer,cer.std,cer.n,fid,fid.std,fid.n",
        "base,base,aa11,0,0123456789abcdef,0.03125,,1,9.5,,1",
        "\"SSD, alpha = 5\",ssd,bb22,0 1,1123456789abcdef 2123456789abcdef,0.9375,0.0625,2,14.25,0.5,2",
        "\"SSD, \"\"x|y\"\"\",ssd,cc33,0 1,3123456789abcdef 4123456789abcdef,0.5,0.125,2,,,",
        "",
      ].joined(separator: "\r\n"))
  }

  @Test func csvLeavesSpreadColumnsAwayWhereEveryRowHasOneSeed() {
    let table = ReportTable(
      title: "One seed", columns: [ReportTable.Column(key: "cer", header: "CER")],
      rows: [ReportTable.Row(label: "a\nb", cells: [ReportTable.Cell(mean: 1)])])
    #expect(CSV.document(table) == "label,technique,configuration,seeds,runs,cer\r\n\"a\nb\",,,,,1\r\n")
  }

  @Test func terminalMarksTheBestWithAnAsteriskWithoutStyles() {
    let text = TerminalTable.text(sampleTable, styled: false)
    #expect(
      text.hasPrefix(
        """
        Erasing "circle" | shapes

        technique               CER ↑         FID ↓
        ────────────────────────────────────────────
        base             0.03 (n = 1)   9.5 (n = 1)
        SSD, alpha = 5    0.94 ± 0.06*   14.2 ± 0.5
        SSD, "x|y"        0.50 ± 0.12             –
        """))
    #expect(text.contains("marked *"))
    #expect(!text.contains("\u{1B}"))
  }

  @Test func terminalSetsTheBestInBoldWithStyles() {
    #expect(TerminalTable.text(sampleTable, styled: true).contains("\u{1B}[1m 0.94 ± 0.06\u{1B}[0m"))
  }

  @Test func markdownTakesMarkupInLabelsAsText() {
    let table = ReportTable(
      title: "*t*", columns: [], rows: [ReportTable.Row(label: "<b>[x](y)`z`\n_e_ ~~n~~ &lt;", cells: [])])
    #expect(Markdown.grid(table).contains("| \\<b>\\[x\\](y)\\`z\\` \\_e\\_ \\~\\~n\\~\\~ \\&lt; |"))
  }

  @Test func theLegendCountsNoSeedsWhereMostCellsHaveOne() {
    var table = sampleTable
    table.rows.removeLast()
    table.rows[1].cells[1] = ReportTable.Cell(mean: 14)
    #expect(table.rows.flatMap(\.cells).compactMap { $0?.count } == [1, 1, 2, 1])
    let document = Markdown.document(table)
    #expect(document.contains("Mean ± sample standard deviation over the n seeds."))
    #expect(document.contains("0.94 ± 0.06 (n = 2)"))
  }
}

@Suite struct StatisticsTests {
  @Test func deviationIsThatOfASample() throws {
    let summary = try #require(Summary([2, 4, 4, 4, 5, 5, 7, 9]))
    #expect(summary.mean == 5)
    #expect(abs(try #require(summary.deviation) - 2.13808993529939) < 1e-12)
  }

  @Test func oneValueHasNoDeviationAndNoValuesHaveNoSummary() throws {
    #expect(try #require(Summary([3])).deviation == nil)
    #expect(Summary([]) == nil)
  }

  @Test func deviationSurvivesALargeOffset() throws {
    let summary = try #require(Summary([1e9 + 1, 1e9 + 2, 1e9 + 3]))
    #expect(abs(try #require(summary.deviation) - 1) < 1e-6)
  }

  private func best(_ means: [Double?], _ better: Better, reference: Int? = nil, digits: Int = 2) -> [Int] {
    var table = ReportTable(
      title: "", columns: [ReportTable.Column(key: "v", header: "v", better: better, digits: digits)],
      rows: means.enumerated().map { index, mean in
        ReportTable.Row(
          label: "\(index)", isReference: index == reference, cells: [mean.map { ReportTable.Cell(mean: $0) }])
      })
    table.markBest()
    return table.rows.indices.filter { table.rows[$0].cells[0]?.isBest == true }
  }

  @Test func theBestFollowsTheColumnsDirection() {
    #expect(best([1, 3, 2], .higher) == [1])
    #expect(best([1, 3, 2], .lower) == [0])
    #expect(best([1, 3, 2], .none) == [])
  }

  @Test func valuesThatPrintAlikeAreEquallyGood() {
    #expect(best([0.901, 0.899, 0.5], .higher) == [0, 1])
    #expect(best([0.901, 0.899, 0.5], .higher, digits: 3) == [0])
  }

  @Test func aReferenceDoesNotCompeteAndMissingValuesDoNotWin() {
    #expect(best([0, 3, 2], .lower, reference: 0) == [2])
    #expect(best([nil, 3, .nan, 2], .lower) == [3])
  }

  @Test func whereThereIsNothingToBeatNothingIsBest() {
    #expect(best([1], .higher) == [])
    #expect(best([1, 1], .higher) == [])
    #expect(best([1, 2], .higher, reference: 0) == [])
  }
}
