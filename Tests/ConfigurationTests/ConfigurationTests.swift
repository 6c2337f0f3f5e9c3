import Configuration
import Testing

enum Scope: String, CaseIterable, ConfigurationValue { case all, attention, full }

/// One field of every type a configuration may have.
struct Sample: Configuration {
  var concept = "circle"
  var alpha = 1.5
  var samples = 50
  var half = true
  var scope = Scope.all
  var prompts: [String]?
  var ratios: [Double] = [0.5, 1]
  var limit: Int?
  var steps: Int?
  var device: String?

  static let fields: [Field<Sample>] = [
    Field("concept", \.concept, .notEmpty, "What to erase"),
    Field("alpha", \.alpha, .greaterThan(0), "How strongly", source: "methods 1.1"),
    Field("samples", \.samples, .atLeast(1), "How many"),
    Field("half", \.half, "Half precision"),
    Field("scope", \.scope, "Which layers"),
    Field("prompts", \.prompts, .each(.notEmpty), "Phrasings"),
    Field("ratios", \.ratios, .each(.between(0...1)), "Ratios"),
    Field("limit", \.limit, .atLeast(1), "At most so many"),
    Field("steps", \.steps, filledBy: .baseModel, otherwise: 50, .atLeast(1), "Sampling steps"),
    Field("device", \.device, .notEmpty, "Where to run", affectsResult: false, role: .device),
  ]

  func validate() throws(ConfigurationError) {
    if samples > 100, !half { throw ConfigurationError(keyPath: "samples", "more than 100 need half precision") }
  }
}

/// A configuration that shares the fields of another.
struct Holder: Configuration {
  var sample = {
    var sample = Sample()
    sample.alpha = 9
    return sample
  }()
  var extra = 1

  static let fields: [Field<Holder>] =
    Sample.fields.map { $0.inside(\.sample) } + [Field("extra", \.extra, .atLeast(1), "One more")]
}

@Suite("Typed configurations")
struct ConfigurationTests {
  @Test("an empty object is every default, and encoding writes each of them out")
  func defaults() throws {
    let sample = try Sample.parse([:])
    #expect(
      sample.encode() == [
        "concept": "circle", "alpha": 1.5, "samples": 50, "half": true, "scope": "all", "prompts": nil,
        "ratios": [0.5, 1], "limit": nil, "steps": 50, "device": nil,
      ])
    #expect(sample.leftOpen.map(\.key) == ["steps"])
    #expect(sample.encode(affectingResult: true)["device"] == nil)
  }

  @Test("fields of a configuration inside another keep their keys, rules and fillers, and take its defaults")
  func sharedFields() throws {
    let holder = try Holder.parse(["samples": 3, "extra": 2])
    #expect(holder.sample.samples == 3 && holder.sample.alpha == 9 && holder.extra == 2)
    #expect(holder.encode()["alpha"] == 9 && holder.encode()["samples"] == 3)
    #expect(holder.leftOpen.map(\.key) == ["steps"])
    #expect(holder.encode(affectingResult: true)["device"] == nil)
    #expect(throws: ConfigurationError(keyPath: "alpha", "expected a number, greater than 0, found the number 0")) {
      try Holder.parse(["alpha": 0])
    }
  }

  @Test("what is written is read, and reading what was encoded gives the same")
  func roundTrip() throws {
    let written: JSON = [
      "concept": "red", "alpha": 3, "samples": 2.0, "half": false, "scope": "full", "prompts": ["a", "b"],
      "ratios": [1], "limit": 5, "steps": 20, "device": "cpu",
    ]
    let sample = try Sample.parse(written)
    #expect(sample.alpha == 3)
    #expect(sample.samples == 2)
    #expect(sample.scope == .full)
    #expect(sample.steps == 20)
    #expect(sample.leftOpen.isEmpty)
    #expect(sample.encode() == written)
    #expect(try Sample.parse(sample.encode()).encode() == written)
  }

  @Test(
    "what is not allowed is refused by file, key path, expectation and nearest name",
    arguments: [
      (#"{"alhpa": 1}"#, "e.json: technique.config.alhpa: unknown key; did you mean \"alpha\"?"),
      (#"{"alpha": "1"}"#, "e.json: technique.config.alpha: expected a number, found the string \"1\""),
      (#"{"alpha": 0}"#, "e.json: technique.config.alpha: expected a number, greater than 0, found the number 0"),
      (#"{"alpha": null}"#, "e.json: technique.config.alpha: expected a number, found null"),
      (#"{"samples": -3}"#, "e.json: technique.config.samples: expected an integer, at least 1, found the number -3"),
      (#"{"samples": 1.5}"#, "e.json: technique.config.samples: expected an integer, found the number 1.5"),
      (#"{"half": 1}"#, "e.json: technique.config.half: expected a boolean, found the number 1"),
      (
        #"{"scope": "ful"}"#,
        "e.json: technique.config.scope: \"ful\" is not one of its values; did you mean \"full\"?"
      ),
      (#"{"scope": 3}"#, "e.json: technique.config.scope: expected a string, found the number 3"),
      (
        #"{"prompts": ["a", 1]}"#,
        "e.json: technique.config.prompts: expected a list of strings or null, found the number 1 at position 1"
      ),
      (
        #"{"prompts": []}"#,
        "e.json: technique.config.prompts: expected a list of strings or null, not empty, each not empty, "
          + "found an empty list"
      ),
      (
        #"{"ratios": [2]}"#,
        "e.json: technique.config.ratios: expected a list of numbers, not empty, each between 0 and 1, "
          + "found the number 2 at position 0"
      ),
      (#"{"limit": 0}"#, "e.json: technique.config.limit: expected an integer or null, at least 1, found the number 0"),
      (#"{"steps": null}"#, "e.json: technique.config.steps: expected an integer, found null"),
      (#"{"concept": ""}"#, "e.json: technique.config.concept: expected a string, not empty, found the string \"\""),
      (#"{"samples": 101, "half": false}"#, "e.json: technique.config.samples: more than 100 need half precision"),
      ("[]", "e.json: technique.config: expected an object of settings, found a list"),
    ])
  func refusals(text: String, message: String) throws {
    let json = try JSON.parse(text, file: "e.json")
    let error = #expect(throws: ConfigurationError.self) {
      try Sample.parse(json, file: "e.json", keyPath: "technique.config")
    }
    #expect(error?.description == message)
  }

  @Test("the table has one row for each field with its default, and says who fills it in")
  func table() {
    let rows = Sample.table
    #expect(rows.map(\.key) == Sample.fields.map(\.key))
    #expect(rows[1].type == "number")
    #expect(rows[1].defaultValue == 1.5)
    #expect(rows[1].requirement == "greater than 0")
    #expect(rows[1].source == "methods 1.1")
    #expect(rows[8].filledBy == .baseModel)
    #expect(rows[8].defaultValue == 50)
    #expect(rows[9].affectsResult == false)
  }

  @Test("a configuration can be handled without knowing its type")
  func erased() throws {
    let type: any Configuration.Type = Sample.self
    let parsed = try type.parse(["alpha": 2])
    #expect(parsed.encode()["alpha"] == 2)
    #expect(type.table.count == 10)
  }
}
