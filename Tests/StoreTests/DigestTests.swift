import Store
import Testing

@Suite struct DigestTests {
  /// The examples of FIPS 180-4, one block, two blocks and none.
  @Test(arguments: [
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func agreesWithThePublishedExamples(text: String, hex: String) {
    #expect(Digest(hashing: text).hex == hex)
    #expect(Digest(hashing: Array(text.utf8)).hex == hex)
    #expect(Digest(hex: hex) == Digest(hashing: text))
  }

  @Test func piecesHashAsTheWhole() {
    let bytes = (0..<100_003).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var stream = DigestStream()
    bytes.withUnsafeBytes { all in
      stream.update(UnsafeRawBufferPointer(rebasing: all[..<7]))
      stream.update(UnsafeRawBufferPointer(rebasing: all[7..<7]))
      stream.update(UnsafeRawBufferPointer(rebasing: all[7...]))
    }
    let digest = stream.finish()
    #expect(digest == Digest(hashing: bytes))
  }

  @Test(arguments: ["", "abc", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", "not hexadecimal"])
  func refusesWhatIsNoDigest(text: String) {
    #expect(Digest(hex: text) == nil)
  }

  @Test func refusesDigitsTooMany() {
    #expect(Digest(hex: Digest(hashing: "x").hex + "0") == nil)
  }

  @Test func ordersAsItsTextDoes() {
    let digests = (0..<200).map { Digest(hashing: "\($0)") }
    #expect(digests.sorted().map(\.hex) == digests.map(\.hex).sorted())
  }
}
