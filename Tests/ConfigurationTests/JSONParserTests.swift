import Configuration
import Testing

@Suite("Parsing JSON")
struct JSONParserTests {
  @Test("every kind of value is read")
  func values() throws {
    let json = try JSON.parse(
      #" {"a": null, "b": [true, false], "c": -12, "d": 0.25e1, "e": "x\ny\u00e9\ud83d\ude00", "f": {}} "#,
      file: "t.json")
    #expect(json == ["a": nil, "b": [true, false], "c": -12, "d": 2.5, "e": "x\nyé😀", "f": [:]])
  }

  @Test("a whole number is an integer however it is spelled, up to what a double keeps exactly")
  func wholeNumbers() throws {
    for text in ["2", "2.0", "2e0", "20e-1"] {
      guard case .integer(2) = try JSON.parse(text, file: "t") else {
        Issue.record("\(text) is not an integer")
        continue
      }
    }
    guard case .number = try JSON.parse("9007199254740994", file: "t") else {
      Issue.record("2^53 + 2 kept as an integer")
      return
    }
  }

  @Test(
    "text that is not JSON is refused with its place",
    arguments: [
      ("", "1:1: the text is empty"),
      ("{\n  \"a\": 1,\n}", "3:1: expected a key in double quotes, found \"}\""),
      ("{\"a\": 1", "1:8: expected \",\" or \"}\" in an object, found the end of the text"),
      ("{\"a\" 1}", "1:6: expected \":\" after the key \"a\""),
      ("{\"a\": 1, \"a\": 2}", "1:10: the key \"a\" appears twice"),
      ("[1 2]", "1:4: expected \",\" or \"]\" in a list"),
      ("[1,]", "1:4: expected a value, found \"]\""),
      ("\"é\" x", "1:5: unexpected \"x\" after the end"),
      ("[01]", "1:2: a number may not start with 0"),
      ("[1.]", "1:4: expected a digit"),
      ("-", "1:2: expected a digit, found the end"),
      ("+1", "1:1: expected a value"),
      ("1e999", "1:1: the number 1e999 is too large"),
      ("NaN", "1:1: expected a value, found \"N\""),
      ("nul", "1:1: expected a value"),
      ("// x\n1", "1:1: expected a value, found \"/\""),
      ("\"abc", "1:1: this string is not closed"),
      ("\"a\nb\"", "1:3: a string holds an unescaped control character"),
      (#""\x""#, "1:2: unknown escape"),
      (#""\u12g4""#, "1:2: a \\u escape takes four hexadecimal digits"),
      (#""\ud800""#, "1:2: a \\u escape holds half of a surrogate pair"),
      (#""\udc00x""#, "1:2: a \\u escape holds half of a surrogate pair"),
    ])
  func refusals(text: String, expected: String) {
    let error = #expect(throws: JSONError.self) { try JSON.parse(text, file: "t.json") }
    #expect(error?.description.hasPrefix("t.json:" + expected) == true, "\(error?.description ?? "")")
  }

  @Test("bytes that are not UTF-8, and a byte order mark, are refused")
  func encodings() {
    #expect(throws: JSONError.self) { try JSON.parse([0x22, 0xFF, 0x22] as [UInt8], file: "t") }
    #expect(throws: JSONError.self) { try JSON.parse([0xEF, 0xBB, 0xBF, 0x31] as [UInt8], file: "t") }
    #expect(throws: JSONError.self) { try JSON.parse([0xC3] as [UInt8], file: "t") }
  }

  @Test("nesting beyond all reason is refused, not a crash")
  func nesting() {
    let text = String(repeating: "[", count: 100_000)
    #expect(throws: JSONError.self) { try JSON.parse(text, file: "t") }
  }

  @Test("every truncation of a document is refused")
  func truncations() throws {
    let bytes = Array(#"{"technique": {"name": "ssd", "config": {"alpha": 1.5e0, "p": ["a", null]}}}"#.utf8)
    _ = try JSON.parse(bytes, file: "t")
    for length in 0..<bytes.count {
      #expect(throws: JSONError.self) { try JSON.parse(bytes[..<length], file: "t") }
    }
  }

  @Test("a missing file and a folder are refused by name")
  func unreadable() {
    for path in ["/nowhere/at/all.json", "/"] {
      let error = #expect(throws: JSONError.self) { try JSON.read(path) }
      #expect(error?.description.hasPrefix(path + ": ") == true)
    }
  }
}
