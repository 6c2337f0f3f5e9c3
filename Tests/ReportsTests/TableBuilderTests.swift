import Configuration
import Reports
import Testing

@Suite struct TableBuilderTests {
  @Test func seedsOfOneConfigurationBecomeOneRow() throws {
    let runs = [
      run("b", alpha: 5, seed: 1, cer: 0.8), run("a", alpha: 5, seed: 0, cer: 1.0), run("c", alpha: 1, cer: 0.2),
    ]
    let table = try TableBuilder(spec([select("ssd")]), runs: runs).table
    #expect(table.rows.map(\.label) == ["ssd, alpha = 1", "ssd, alpha = 5"])
    #expect(table.rows[1].runs.map(\.id) == ["a", "b"])
    let cell = try #require(table.rows[1].cells[0])
    #expect(abs(cell.mean - 0.9) < 1e-12)
    #expect(abs(try #require(cell.deviation) - 0.1414213562373095) < 1e-12)
    #expect(cell.isBest)
  }

  @Test func theOrderOfTheRunsDoesNotMatter() throws {
    let runs = [run("a", alpha: 10), run("b", alpha: 2), run("c", alpha: 2, seed: 3), run("d", technique: "base")]
    let forward = try TableBuilder(spec([select("base"), select("ssd")]), runs: runs).table
    let backward = try TableBuilder(spec([select("base"), select("ssd")]), runs: runs.reversed()).table
    #expect(forward == backward)
    #expect(forward.rows.map(\.label) == ["base", "ssd, alpha = 2", "ssd, alpha = 10"])
  }

  @Test func theBaseModelIsTheReference() throws {
    let runs = [run("a", technique: "base", fid: 1), run("b", alpha: 1, fid: 2), run("c", alpha: 5, fid: 3)]
    let table = try TableBuilder(spec([select("base"), select("ssd")]), runs: runs).table
    #expect(table.rows.map(\.isReference) == [true, false, false])
    #expect(table.rows.map { $0.cells[1]?.isBest } == [false, true, false])
  }

  @Test func aRepeatedRunIsNotASecondSample() throws {
    let runs = [run("old", alpha: 5, started: "2026-01-01"), run("new", alpha: 5, started: "2026-01-02")]
    let table = try TableBuilder(spec([select("ssd")]), runs: runs).table
    #expect(table.rows[0].runs.map(\.id) == ["new"])
    #expect(table.rows[0].cells[0]?.count == 1)
    #expect(!table.notes.contains { $0.contains("differ") })
  }

  @Test func repeatsThatDisagreeAreNamed() throws {
    let runs = [run("old", alpha: 5, cer: 0.5, started: "1"), run("new", alpha: 5, cer: 0.6, started: "2")]
    let table = try TableBuilder(spec([select("ssd")]), runs: runs).table
    #expect(table.notes.contains { $0.contains("Runs new and old") && $0.contains("differ in cer") })
  }

  @Test func secondsThatDifferAreNoDisagreement() throws {
    var runs = [run("old", alpha: 5, started: "1"), run("new", alpha: 5, started: "2")]
    for index in runs.indices {
      runs[index].values.append(
        MeasuredValue(name: "edit_seconds", value: Double(index), better: .none, isRepeatable: false))
    }
    let table = try TableBuilder(spec([select("ssd")]), runs: runs).table
    #expect(!table.notes.contains { $0.contains("differ") })
  }

  @Test func valuesMeasuredInTwoWaysDoNotShareAColumn() throws {
    let runs = [run("a", alpha: 1, cer: 0.4, count: 160), run("b", alpha: 5, cer: 0.9, count: 320)]
    let table = try TableBuilder(spec([select("ssd")]), runs: runs).table
    #expect(table.columns.map(\.heading) == ["cer (n = 160) ↑", "cer (n = 320) ↑", "fid ↓"])
    #expect(table.columns.map(\.key) == ["cer#1", "cer#2", "fid"])
    #expect(table.rows.map { $0.cells[0]?.mean } == [0.4, nil])
    #expect(table.rows.map { $0.cells[1]?.mean } == [nil, 0.9])
    #expect(table.notes.contains { $0.hasPrefix("cer was measured in 2 ways") })
    #expect(table.rows.allSatisfy { $0.cells.prefix(2).allSatisfy { $0?.isBest != true } })
  }

  private func fingerprinted(
    _ digest: String, prompts: String = "prompts general", weights: String = "judge weights 11",
    implementation: String = "v"
  ) -> MeasuringMethod {
    MeasuringMethod(
      count: 8, judge: "a",
      fingerprint: MeasuringMethod.Fingerprint(
        digest: digest, prompts: prompts, weights: weights, implementation: implementation))
  }

  private func table(_ methods: [MeasuringMethod], interval: Bool = false) throws -> ReportTable {
    let runs = methods.enumerated().map { index, method in
      var measured = run("r\(index)", alpha: Double(index))
      measured.values = [
        MeasuredValue(
          name: "v", value: Double(index), better: .none, method: method,
          interval: Double(index) - 0.25...Double(index) + 0.5)
      ]
      return measured
    }
    var wanted = spec([select("ssd")], columns: ["v"])
    wanted.columns[0].interval = interval
    return try TableBuilder(wanted, runs: runs).table
  }

  @Test func unlikeFingerprintsDoNotShareAColumnAndTheHeadingSaysWhatDiffers() throws {
    let first = fingerprinted("a")
    let others = [
      (fingerprinted("b", prompts: "prompts file"), "v (prompts general)", "v (prompts file)"),
      (fingerprinted("b", weights: "judge weights 22"), "v (judge weights 11)", "v (judge weights 22)"),
      (fingerprinted("b", implementation: "v with window 7"), "v (v)", "v (v with window 7)"),
    ]
    for (other, heading, otherHeading) in others {
      let table = try table([first, other])
      #expect(table.columns.map(\.heading) == [heading, otherHeading])
      #expect(table.notes.contains { $0.hasPrefix("v was measured in 2 ways") })
    }
    // One way of measuring prints as it always has.
    #expect(try table([first, first]).notes.first == "v: n = 8, judged by a.")
  }

  @Test func aRecordWithoutAFingerprintStandsBesideTheOneWayThatAgrees() throws {
    let old = MeasuringMethod(count: 8, judge: "a")
    let mixed = try table([fingerprinted("a"), old])
    #expect(mixed.columns.count == 1)
    #expect(mixed.notes.contains { $0.hasPrefix("v: 1 value of records that do not name prompts and judge weights") })
    #expect(try table([old, old]).notes.first == "v: n = 8, judged by a.")
    #expect(try table([fingerprinted("a"), fingerprinted("b", weights: "w"), old]).columns.count == 3)
    #expect(try table([fingerprinted("a"), MeasuringMethod(count: 9, judge: "a")]).columns.count == 2)
  }

  @Test func intervalsAreShownWhereTheColumnAsks() throws {
    let method = fingerprinted("a")
    let plain = try table([method, method])
    #expect(plain.rows[0].cells[0]?.interval == nil)
    let shown = try table([method, method], interval: true)
    #expect(shown.rows[1].cells[0]?.interval == 0.75...1.5)
    #expect(Markdown.grid(shown).contains(#"1.00 \[0.75, 1.50\]"#))
    #expect(CSV.document(shown).contains("v,v.lower,v.upper\r\n"))
    #expect(CSV.document(shown).contains(",1,0.75,1.5\r\n"))
    #expect(!CSV.document(plain).contains("lower"))
    // Over seeds: the distances of the ends combine as independent errors do.
    var runs = [run("a", alpha: 5, seed: 0), run("b", alpha: 5, seed: 1)]
    for index in runs.indices {
      runs[index].values = [
        MeasuredValue(
          name: "v", value: Double(index), better: .none, interval: Double(index) - 0.3...Double(index) + 0.4)
      ]
    }
    var wanted = spec([select("ssd")], columns: ["v"])
    wanted.columns[0].interval = true
    let interval = try #require(try TableBuilder(wanted, runs: runs).table.rows[0].cells[0]?.interval)
    #expect(abs(interval.lowerBound - (0.5 - 0.3 * 2.0.squareRoot() / 2)) < 1e-12)
    #expect(abs(interval.upperBound - (0.5 + 0.4 * 2.0.squareRoot() / 2)) < 1e-12)
  }

  @Test(arguments: [
    (MeasuringMethod(count: 8, judge: "a"), MeasuringMethod(count: 8, judge: "b"), "v (judged by a)"),
    (MeasuringMethod(judge: "a"), MeasuringMethod(), "v (judged by a)"),
    (MeasuringMethod(sampler: "25 steps"), MeasuringMethod(sampler: "50 steps"), "v (25 steps)"),
    (MeasuringMethod(unit: "percent"), MeasuringMethod(unit: "fraction"), "v (percent)"),
  ])
  func everyPartOfTheMethodKeepsColumnsApart(first: MeasuringMethod, second: MeasuringMethod, heading: String) throws {
    var runs = [run("a", alpha: 1), run("b", alpha: 5)]
    runs[0].values = [MeasuredValue(name: "v", value: 1, better: .none, method: first)]
    runs[1].values = [MeasuredValue(name: "v", value: 2, better: .none, method: second)]
    let table = try TableBuilder(spec([select("ssd")], columns: ["v"]), runs: runs).table
    #expect(table.columns.count == 2)
    #expect(table.columns[0].heading == heading)
  }

  @Test func failedRunsAreCountedUnderTheTable() throws {
    let runs = [
      run("good", alpha: 1), run("bad", alpha: 5, seed: 2, status: .failed, error: "the weights are not finite"),
    ]
    let table = try TableBuilder(spec([select("ssd")]), runs: runs).table
    #expect(table.rows.count == 1)
    #expect(
      table.notes.contains(
        "Left out: 1 of 2 runs did not finish (ssd, alpha = 5, seed 2, run bad, failed: the weights are not finite)."))
  }

  @Test func aFailureThatWasRunAgainIsForgotten() throws {
    let runs = [
      run("again", alpha: 1, started: "2"), run("bad", alpha: 1, status: .interrupted, started: "1"),
      run("later", alpha: 5, status: .failed, started: "9"), run("first", alpha: 5, started: "1"),
    ]
    let table = try TableBuilder(spec([select("ssd")]), runs: runs).table
    #expect(table.rows.flatMap { $0.runs.map(\.id) } == ["again", "first"])
    #expect(!table.notes.contains { $0.hasPrefix("Left out") })
  }

  @Test func pointsThatWereNeverRunAreCountedUnderTheTable() throws {
    let wanted = select("ssd", where: ["technique.config.alpha": [1, 5, 20]])
    let table = try TableBuilder(spec([select("base"), wanted]), runs: [run("a", alpha: 1), run("b", alpha: 20)]).table
    #expect(
      table.notes.contains(
        "Missing: 2 points never run (no run at all of technique base; technique.config.alpha = 5)."))
  }

  @Test func aPointThatAnEarlierSelectionTookWasRunAllTheSame() throws {
    let runs = [run("a", alpha: 1, tags: ["paper"]), run("b", alpha: 5)]
    let wanted = select("ssd", where: ["technique.config.alpha": [1, 5]])
    let table = try TableBuilder(spec([select("ssd", label: "ours", tag: "paper"), wanted]), runs: runs).table
    #expect(table.rows.map { $0.runs.map(\.id) } == [["a"], ["b"]])
    #expect(!table.notes.contains { $0.hasPrefix("Missing") })
  }

  /// The points of a file that sweeps alpha.
  private let points: [String: [ExpectedPoint]] = [
    "../ssd.json": [1.0, 5, 20].map { (alpha: Double) in
      ExpectedPoint(
        technique: "ssd", configHash: "160-ssd-\(alpha)-0", groupHash: "160-ssd-\(alpha)",
        configuration: ["technique": ["name": "ssd", "config": ["alpha": .number(alpha)]], "seed": 0],
        words: "alpha = \(alpha), seed 0")
    }
  ]

  @Test func aFileSelectsItsPointsWithAnySeedAndNothingElse() throws {
    var selection = RunSelection()
    selection.file = "../ssd.json"
    let runs = [run("a", alpha: 1), run("b", alpha: 1, seed: 7), run("c", alpha: 5, seed: 1), run("other", alpha: 3)]
    let table = try TableBuilder(spec([selection]), runs: runs, points: points).table
    #expect(table.rows.map { $0.runs.map(\.id) } == [["a", "b"], ["c"]])
    #expect(table.notes.contains("Missing: 2 points never run (alpha = 5.0, seed 0; alpha = 20.0, seed 0)."))
  }

  @Test func pointsOfAFileThatTheSelectionLeavesOutAreNotMissed() throws {
    var selection = select("ssd", where: ["technique.config.alpha": [1, 5]])
    selection.file = "../ssd.json"
    let table = try TableBuilder(spec([selection]), runs: [run("a", alpha: 1)], points: points).table
    #expect(table.notes.contains("Missing: 1 point never run (alpha = 5.0, seed 0)."))
    selection.values = KeyPathValues()
    selection.config = "160-ssd-1.0"
    let narrow = try TableBuilder(spec([selection]), runs: [run("a", alpha: 1)], points: points).table
    #expect(!narrow.notes.contains { $0.hasPrefix("Missing") })
  }

  @Test func aPointThatWasRunWithoutTheTagWasRunAllTheSame() throws {
    var selection = select("ssd", tag: "paper")
    selection.file = "../ssd.json"
    let runs = [run("a", alpha: 1, tags: ["paper"]), run("b", alpha: 5)]
    let table = try TableBuilder(spec([selection]), runs: runs, points: points).table
    #expect(table.rows.map { $0.runs.map(\.id) } == [["a"]])
    #expect(table.notes.contains("Missing: 1 point never run (alpha = 20.0, seed 0)."))
  }

  @Test func aRunWithoutTheValueLeavesItsCellEmptyAndIsNamed() throws {
    let table = try TableBuilder(spec([select("ssd")]), runs: [run("a", alpha: 1, fid: nil), run("b", alpha: 5)]).table
    #expect(table.rows[0].cells[1] == nil)
    #expect(table.notes.contains("fid: no value in 1 run (a)."))
  }

  @Test func labelsTakeSettingsFromATemplate() throws {
    let runs = [run("a", alpha: 1), run("b", alpha: 2.5)]
    let table = try TableBuilder(spec([select("ssd", label: "SSD (α = {alpha}, {unknown})")]), runs: runs).table
    #expect(table.rows.map(\.label) == ["SSD (α = 1, {unknown})", "SSD (α = 2.5, {unknown})"])
  }

  @Test func labelsThatWouldBeEqualAreToldApart() throws {
    let runs = [run("a", alpha: 1), run("b", alpha: 2), run("c", alpha: 2, count: 320)]
    let table = try TableBuilder(spec([select("ssd", label: "SSD")]), runs: runs).table
    #expect(
      table.rows.map(\.label).sorted()
        == ["SSD, alpha = 1", "SSD, alpha = 2 (160-ssd-)", "SSD, alpha = 2 (320-ssd-)"])
  }

  @Test func aRunBelongsToTheFirstSelectionThatMatches() throws {
    let runs = [run("a", alpha: 1, tags: ["paper"]), run("b", alpha: 5)]
    let table = try TableBuilder(spec([select("ssd", label: "ours", tag: "paper"), select("ssd")]), runs: runs).table
    #expect(table.rows.map { $0.runs.map(\.id) } == [["a"], ["b"]])
    #expect(table.rows[0].label == "ours")
  }

  @Test func anUnknownValueIsRefusedWithTheNearestName() {
    #expect {
      try TableBuilder(spec([select("ssd")], columns: ["cerr"]), runs: [run("a")])
    } throws: {
      "\($0)" == "table.json: columns.0: no selected run has a value \"cerr\"; did you mean \"cer\"?"
    }
  }

  @Test func nothingSelectedIsAnErrorThatSaysWhatThereIs() {
    var selection = RunSelection()
    selection.experiment = "sds"
    #expect {
      try TableBuilder(spec([selection]), runs: [run("a")])
    } throws: {
      "\($0)" == "table.json: runs: no run in the store matches \"experiment sds\"; did you mean \"ssd\"?"
    }
    #expect {
      try TableBuilder(spec([selection]), runs: [])
    } throws: { "\($0)".contains("the store has no runs yet") }
    #expect {
      try TableBuilder(spec([select("ssd")]), runs: [run("a", status: .failed)])
    } throws: { "\($0)".contains("the one run that it selects did not finish (a)") }
  }
}
