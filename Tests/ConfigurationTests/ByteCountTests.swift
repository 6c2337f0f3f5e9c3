import Configuration
import Testing

@Suite("Numbers of bytes")
struct ByteCountTests {
  @Test(
    "are read with and without units, of powers of 1,024 and of 1,000",
    arguments: [
      ("8GiB", 8 << 30), ("8GB", 8_000_000_000), ("500MiB", 500 << 20), ("123456", 123_456), ("1.5 GiB", 3 << 29),
      ("2gib", 2 << 30), ("64k", nil), ("64kB", 64_000), ("10B", 10), ("1TiB", 1 << 40),
    ] as [(String, Int?)])
  func parsing(_ text: String, _ bytes: Int?) {
    #expect((try? ByteCount(parsing: text))?.bytes == bytes)
  }

  @Test(
    "are refused with what would be right",
    arguments: [
      ("", "a number of bytes was expected, such as 8GiB or 500MB, found \"\""),
      ("lots", "a number of bytes was expected, such as 8GiB or 500MB, found \"lots\""),
      ("-4GiB", "a number of bytes was expected, such as 8GiB or 500MB, found \"-4GiB\""),
      ("8GiBs", "\"GiBs\" is no unit of memory; did you mean \"GiB\"?"),
      ("0", "\"0\" is no amount of memory that a machine has"),
      ("9e99TiB", "\"e99TiB\" is no unit of memory"),
      ("99999999999TiB", "\"99999999999TiB\" is no amount of memory that a machine has"),
    ])
  func refusals(_ text: String, _ sentence: String) {
    let error = #expect(throws: ConfigurationError.self) { try ByteCount(parsing: text) }
    #expect(error?.description.hasPrefix(sentence) == true, "\(error?.description ?? "none")")
  }

  @Test("are written in the largest unit that leaves a whole part")
  func words() {
    #expect([0, 1, 12].map { ByteCount($0).description } == ["0 bytes", "1 byte", "12 bytes"])
    #expect([1, 4096].map { ByteCount($0).exact } == ["1 byte", "4096 bytes"])
    #expect(ByteCount(8 << 30).description == "8.0 GiB")
    #expect(ByteCount(7_945_689_498).description == "7.4 GiB")
    #expect(ByteCount((1 << 30) - 1).description == "1.0 GiB")
  }
}
