import Configuration
import Testing

@Suite("Editing JSON")
struct JSONEditingTests {
  /// The test cases of RFC 7386, appendix A.
  @Test(
    "a merge patch changes what RFC 7386 says it does",
    arguments: [
      (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
      (#"{"a":"b"}"#, #"{"a":null}"#, "{}"), (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
      (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
      (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
      (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#), (#"["a","b"]"#, #"["c","d"]"#, #"["c","d"]"#),
      (#"{"a":"b"}"#, #"["c"]"#, #"["c"]"#), (#"{"a":"foo"}"#, "null", "null"),
      (#"{"a":"foo"}"#, #""bar""#, #""bar""#), (#"{"e":null}"#, #"{"a":1}"#, #"{"a":1,"e":null}"#),
      ("[1,2]", #"{"a":"b","c":null}"#, #"{"a":"b"}"#), ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
    ])
  func mergePatch(original: String, patch: String, result: String) throws {
    let merged = try JSON.parse(original, file: "o").merging(JSON.parse(patch, file: "p"))
    #expect(merged.canonical() == result)
  }

  let document: JSON = [
    "technique": ["name": "ssd", "config": ["alpha": 1]],
    "metrics": [["name": "cer", "config": [:]], ["name": "fid", "config": ["limit": 100]]],
    "seeds": [0, 1],
  ]

  @Test("a key path leads through objects, names in lists, and positions")
  func reading() {
    #expect(document.value(at: "technique.config.alpha") == 1)
    #expect(document.value(at: "metrics.fid.config.limit") == 100)
    #expect(document.value(at: "seeds.1") == 1)
    #expect(document.value(at: "seeds.2") == nil)
    #expect(document.value(at: "metrics.tifa.config") == nil)
    #expect(document.value(at: "technique.name.x") == nil)
  }

  @Test("setting a key path changes that value alone and makes the objects it needs")
  func setting() throws {
    let changed = try document.setting("metrics.fid.config.limit", to: 7)
    #expect(changed.value(at: "metrics.fid.config.limit") == 7)
    #expect(changed.value(at: "metrics.cer.config") == [:])
    #expect(try JSON.object([:]).setting("a.b.c", to: true) == ["a": ["b": ["c": true]]])
  }

  @Test("a path that leads nowhere is refused by name")
  func settingNowhere() {
    let missing = #expect(throws: ConfigurationError.self) { try document.setting("metrics.fidd.config.limit", to: 7) }
    #expect(missing?.description.contains("did you mean \"fid\"?") == true)
    #expect(throws: ConfigurationError.self) { try document.setting("technique.name.x", to: 7) }
    #expect(throws: ConfigurationError.self) { try document.setting("seeds.5", to: 7) }
    #expect(throws: ConfigurationError.self) { try document.setting("a..b", to: 7) }
    #expect(throws: ConfigurationError.self) { try document.setting("", to: 7) }
  }
}

@Suite("Suggesting spellings")
struct NearestTests {
  let names = ["alpha", "dampening_coeff", "num_fisher_samples", "device"]

  @Test(
    "a slip of the finger finds the word",
    arguments: [
      ("alhpa", "alpha"), ("Alpha", "alpha"), ("dampening-coef", "dampening_coeff"), ("divice", "device"),
      ("num_fisher_sample", "num_fisher_samples"),
    ])
  func near(word: String, meant: String) { #expect(nearest(to: word, among: names) == meant) }

  @Test("the beginning of a name finds it, and so does a name with something after it")
  func beginnings() {
    #expect(nearest(to: "dampening", among: names) == "dampening_coeff")
    #expect(nearest(to: "device-of-mine", among: names) == "device")
    #expect(nearest(to: "damp", among: names) == nil)
  }

  @Test("a word like none of them finds nothing, and the empty list neither")
  func far() {
    #expect(nearest(to: "guidance", among: names) == nil)
    #expect(nearest(to: "alpha", among: []) == nil)
    #expect(nearest(to: "", among: names) == nil)
  }
}
