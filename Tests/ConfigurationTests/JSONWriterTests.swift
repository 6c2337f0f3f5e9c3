import Configuration
import Testing

@Suite("Writing JSON")
struct JSONWriterTests {
  /// The table of RFC 8785, appendix B: IEEE 754 bits and the ECMAScript spelling they must have.
  @Test(
    "numbers are spelled as ECMAScript does",
    arguments: [
      (0x0000_0000_0000_0000, "0"), (0x8000_0000_0000_0000, "0"), (0x0000_0000_0000_0001, "5e-324"),
      (0x8000_0000_0000_0001, "-5e-324"), (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
      (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"), (0x4340_0000_0000_0000, "9007199254740992"),
      (0xc340_0000_0000_0000, "-9007199254740992"), (0x4430_0000_0000_0000, "295147905179352830000"),
      (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"), (0x44b5_2d02_c7e1_4af6, "1e+23"),
      (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"), (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
      (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"), (0x444b_1ae4_d6e2_ef50, "1e+21"),
      (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"), (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
      (0x41b3_de43_5555_5553, "333333333.3333332"), (0x41b3_de43_5555_5554, "333333333.33333325"),
      (0x41b3_de43_5555_5555, "333333333.3333333"), (0x41b3_de43_5555_5556, "333333333.3333334"),
      (0x41b3_de43_5555_5557, "333333333.33333343"), (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
      (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] as [(UInt64, String)])
  func numbers(bits: UInt64, spelling: String) throws {
    #expect(JSON.number(Double(bitPattern: bits)).canonical() == spelling)
    let back = try #require(try JSON.parse(spelling, file: "t").number)
    #expect(back == Double(bitPattern: bits))
  }

  @Test("what JSON cannot write becomes null, and integers beyond 2^53 the nearest double")
  func limits() {
    #expect(JSON.number(.nan).canonical() == "null")
    #expect(JSON.number(-.infinity).canonical() == "null")
    #expect(JSON.integer(.max).canonical() == "9223372036854776000")
    #expect(JSON.number(20).canonical() == "20")
  }

  @Test("keys are sorted by UTF-16 code units and strings escaped as in RFC 8785")
  func keysAndStrings() throws {
    // The example of RFC 8785, section 3.2.3, which orders differently by UTF-8 and by code point.
    let json: JSON = [
      "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
      "1": "One", "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control",
      "\u{f6}": "Latin Small Letter O With Diaeresis",
    ]
    #expect(
      json.canonical() == "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\","
        + "\"\u{f6}\":\"Latin Small Letter O With Diaeresis\",\"\u{20ac}\":\"Euro Sign\","
        + "\"\u{1f600}\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}")
    #expect(JSON.string("\u{1}\u{1f}/\"\\\u{7f}").canonical() == "\"\\u0001\\u001f/\\\"\\\\\u{7f}\"")
  }

  @Test("the pretty form reads back as the same value")
  func pretty() throws {
    let json: JSON = ["b": [1, 2, ["c": []]], "a": ["x", "y"], "d": [:]]
    #expect(
      json.pretty() == """
        {
          "a": ["x", "y"],
          "b": [
            1,
            2,
            {
              "c": []
            }
          ],
          "d": {}
        }
        """)
    #expect(try JSON.parse(json.pretty(), file: "t") == json)
  }
}
