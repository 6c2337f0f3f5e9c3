import Configuration
import Reports
import Testing

@Suite struct TableSpecTests {
  private func parse(_ text: String) throws -> TableSpec {
    try TableSpec.parse(try JSON.parse(text, file: "t.json"), file: "t.json")
  }

  private func refusal(_ text: String) -> String {
    do {
      _ = try parse(text)
      return "accepted"
    } catch {
      return "\(error)"
    }
  }

  @Test func aShortSpecificationIsEnough() throws {
    let spec = try parse(#"{"runs": [{"experiment": "base"}], "columns": ["cer", {"metric": "fid", "digits": 1}]}"#)
    #expect(spec.title == "t")
    #expect(spec.columns.map(\.metric) == ["cer", "fid"])
    #expect(spec.columns[1].digits == 1)
    #expect(spec.scatters.isEmpty)
    #expect(spec.grid == nil)
  }

  @Test func whereTakesOneValueOrAList() throws {
    let spec = try parse(
      #"{"runs": [{"where": {"technique.config.alpha": [1, 5], "technique.name": "ssd"}}], "columns": ["cer"]}"#)
    #expect(spec.runs[0].values.settings.map(\.keyPath) == ["technique.config.alpha", "technique.name"])
    #expect(spec.runs[0].values.settings.map(\.values) == [[1, 5], ["ssd"]])
  }

  @Test(arguments: [
    (#"{"runs": [{"experiment": "a"}]}"#, "t.json: columns: missing"),
    (#"{"runs": [], "columns": ["cer"]}"#, "t.json: runs: expected a list of selections of runs, not empty"),
    (#"{"runs": [{"experiment": "a"}], "colums": ["cer"]}"#, #"t.json: colums: unknown key; did you mean "columns"?"#),
    (
      #"{"runs": [{"experimnt": "a"}], "columns": ["cer"]}"#,
      #"t.json: runs.0.experimnt: unknown key; did you mean "experiment"?"#
    ),
    (#"{"runs": [{"label": "all"}], "columns": ["cer"]}"#, "t.json: runs.0: selects every run"),
    (
      #"{"runs": [{"tag": 3}], "columns": ["cer"]}"#,
      "t.json: runs.0.tag: expected a string or null, found the number 3"
    ),
    (#"{"runs": [{"tag": "a"}], "columns": [{"digits": 2}]}"#, "t.json: columns.0.metric: missing"),
    (#"{"runs": [{"tag": "a"}], "columns": [{"metric": "fid", "digits": -1}]}"#, "t.json: columns.0.digits: expected"),
    (#"{"runs": [{"tag": "a"}], "columns": [{"metric": "fid", "direction": "lowr"}]}"#, #"did you mean "lower"?"#),
    (
      #"{"runs": [{"tag": "a"}], "columns": ["fid"], "scatter": {"x": "fid", "y": "cer"}}"#,
      #"t.json: scatter.y: no column shows "cer""#
    ),
    (
      #"{"runs": [{"tag": "a"}], "columns": ["fid", "cer"], "scatter": [{}, {"y": "kid"}]}"#,
      #"t.json: scatter.1.y: no column shows "kid""#
    ),
    (
      #"{"runs": [{"tag": "a"}], "columns": ["fid", {"metric": "fid", "label": "FID"}]}"#,
      #"t.json: columns.1: the column "fid" appears twice"#
    ),
    (#"{"runs": [{"tag": "a"}], "columns": ["fid"], "grid": {"count": 0}}"#, "t.json: grid.count: expected"),
    (#"{"runs": [{"tag": "a"}], "columns": ["fid"], "title": ""}"#, "t.json: title: expected a string, not empty"),
    (
      #"{"runs": [{"tag": "a"}], "columns": ["fid"], "run_ids": "besides"}"#,
      #"t.json: run_ids: expected "below" or "beside", found "besides"; did you mean "beside"?"#
    ),
    (
      #"{"runs": [{"tag": "a"}], "columns": ["fid"], "output_name": "a/b"}"#, "t.json: output_name: \"a/b\" has a slash"
    ),
    (#"[]"#, "t.json: expected a table specification"),
  ])
  func whatItDoesNotUnderstandIsRefusedByName(text: String, sentence: String) {
    #expect(refusal(text).contains(sentence), "\(refusal(text))")
  }
}
