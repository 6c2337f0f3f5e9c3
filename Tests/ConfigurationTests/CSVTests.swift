import Configuration
import Testing
import TestSupport

@Suite("Comma-separated values")
struct CSVTests {
  private func table(_ text: String, limit: Int = 100) throws -> CSV {
    try CSV.parse(text.utf8, file: "t.csv", limit: limit)
  }

  @Test("quoted fields hold commas, doubled quotes and line ends")
  func quotedFields() throws {
    let table = try table("prompt,seed\r\n\"a \"\"red\"\" star,\r\nin the sky\",7\r\n\"\",\r\nplain,8")
    #expect(table.header == ["prompt", "seed"])
    #expect(table.rows == [["a \"red\" star,\r\nin the sky", "7"], ["", ""], ["plain", "8"]])
    #expect(table.lines == [2, 4, 5])
    #expect(try table.column("seed") == ["7", "", "8"])
  }

  @Test("every line end and a byte order mark are read, and a line with nothing on it is passed over")
  func lineEnds() throws {
    let expected = [["é", "1"], ["b", "2"]]
    for end in ["\n", "\r\n", "\r"] {
      let text = ["\u{FEFF}prompt,n", "", "é,1", "b,2", "", ""].joined(separator: end)
      let table = try table(text)
      #expect(table.header == ["prompt", "n"])
      #expect(table.rows == expected)
      #expect(table.lines == [3, 4])
    }
  }

  @Test("what is written is read back")
  func roundTrip() throws {
    let records = [["a", "b\"c"], ["1,2", "x\r\ny"], ["\"", ""], [" spaces ", "ö"]]
    let both = try table(CSV.text(records))
    #expect([both.header] + both.rows == records)
    let one = try table(CSV.text([["only"], [""], ["x"]]))
    #expect(one.rows == [[""], ["x"]])
  }

  @Test(
    "what is no table is refused with its place",
    arguments: [
      ("", "t.csv: the file is empty where a header with the names of the columns was expected"),
      ("\r\n\r\n", "t.csv: the file is empty where a header"),
      ("a,b\n", "t.csv: there is a header and no row under it"),
      ("a,b\n1\n", "t.csv:2: this row has 1 field, and the header has 2"),
      ("a,b\n1,2\n\"x\ny\",2,3\n", "t.csv:3: this row has 3 fields, and the header has 2"),
      ("a,b\n1,2\n\n3,\"4\n\n", "t.csv:4: a quote that opens in the column \"b\" is never closed"),
      ("a,b\n1,\"2\"x\n", "t.csv:2: in the column \"b\" something stands behind a closing quote"),
      ("a,b\n1\"2,3\n", "t.csv:2: a quote stands within a field of the column \"a\" that does not begin with one"),
      ("a,b,a\n1,2,3\n", "t.csv:1: the header names the column \"a\" twice"),
      ("a,\"b\n", "t.csv:1: a quote that opens in the header is never closed"),
      ("a\n1\n2\n3\n4\n", "t.csv:5: there are more than 3 rows, and no more are taken"),
    ])
  func refusals(_ text: String, _ sentence: String) {
    let error = #expect(throws: CSVError.self) { try table(text, limit: 3) }
    #expect(error?.description.hasPrefix(sentence) == true, "\(String(describing: error))")
  }

  @Test("bytes that are no UTF-8 are refused with line and column")
  func otherEncodings() {
    let latin1: [UInt8] = Array("a,prompt\n1,caf".utf8) + [0xE9, 0x0A]
    let error = #expect(throws: CSVError.self) { try CSV.parse(latin1, file: "t.csv", limit: 9) }
    let sentence = "t.csv:2: the column \"prompt\" holds bytes that are no UTF-8; save the file as UTF-8"
    #expect(error?.description == sentence)
  }

  @Test("a column that is not there is named with those that are, for the first line may be no header at all")
  func missingColumn() throws {
    let table = try table("case_number,prompt\n1,a star\n")
    let error = #expect(throws: CSVError.self) { try table.column("promt") }
    let sentence = "t.csv:1: the first line is the header and names no column \"promt\", only "
    #expect(error?.description == sentence + "\"case_number\", \"prompt\"")
  }

  @Test("a file that is not there is named")
  func missingFile() throws {
    try withScratchFolder { folder in
      let error = #expect(throws: CSVError.self) { try CSV.read(folder + "/none.csv", limit: 9) }
      #expect(error?.description == "\(folder)/none.csv: there is no such file")
    }
  }
}
