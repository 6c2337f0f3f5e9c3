import Configuration
import Foundation
import Tensors
import TestSupport
import Testing

@Suite("Safetensors")
struct SafetensorsTests {
  @Test("reads F32, F16 and BF16 as the safetensors library wrote them", arguments: ["F32", "F16", "BF16"])
  func elementTypes(_ type: String) throws {
    let file = try Fixtures.tensors("dtypes/\(type).safetensors")
    let expected = try Fixtures.tensors("dtypes/expected.safetensors")
    #expect(file.names == ["edges", "empty", "matrix", "scalar"])
    #expect(file.metadata == ["dtype": type])
    #expect(try file.element(of: "edges").rawValue == type)
    for name in ["edges", "matrix"] {
      #expect(try bits(file.tensor(name)) == bits(expected.tensor("\(type).\(name)")), "\(name)")
    }
    #expect(try file.shape(of: "matrix") == [3, 5])
    #expect(try file.tensor("empty").shape == [0, 3])
    #expect(try file.tensor("scalar").shape == [])
    #expect(try file.tensor("scalar").item == 1.5)
  }

  @Test("reads back the bits it wrote, whatever the order they were given in")
  func roundTrip() throws {
    let odd = Tensor([.nan, -0.0, .infinity, .leastNonzeroMagnitude, 1], shape: [5])
    let matrix = RandomStream(seed: 1, "matrix").normal([4, 3])
    let tensors = [("b.weight", matrix), ("a", odd), ("empty", Tensor([], shape: [0, 2])), ("é\"\\", Tensor(2))]
    try withScratchFolder { folder in
      let path = folder + "/tensors.safetensors"
      try Safetensors.write(tensors, to: path, metadata: ["format": "pt", "note": "a \"quoted\" line\n"])
      let file = try SafetensorsFile(path)
      #expect(file.names == tensors.map(\.0).sorted())
      #expect(file.metadata["note"] == "a \"quoted\" line\n")
      for (name, tensor) in tensors {
        #expect(try file.shape(of: name) == tensor.shape)
        #expect(try bits(file.tensor(name)) == bits(tensor), "\(name)")
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["tensors.safetensors"])
      #expect(Safetensors.encode(tensors) == Safetensors.encode(tensors.reversed()))
    }
  }

  @Test("keeps halves rounded to nearest, ties to even, as the library does")
  func halves() throws {
    try withScratchFolder { folder in
      let path = folder + "/half.safetensors"
      let full = try Fixtures.tensors("dtypes/F32.safetensors")
      let expected = try Fixtures.tensors("dtypes/expected.safetensors")
      let ties = Tensor([1 + 0x1p-11, 1 + 3 * 0x1p-11, 65519, 65520, 0x1p-25, 3 * 0x1p-25], shape: [6])
      try Safetensors.write(
        [("edges", try full.tensor("edges")), ("matrix", try full.tensor("matrix")), ("ties", ties)], to: path,
        half: true)
      let file = try SafetensorsFile(path)
      #expect(try file.element(of: "matrix") == .float16)
      for name in ["edges", "matrix"] {
        #expect(try bits(file.tensor(name)) == bits(expected.tensor("F16.\(name)")), "\(name)")
      }
      #expect(try file.tensor("ties").values == [1, 1 + 0x1p-9, 65504, .infinity, 0, 0x1p-23])
    }
  }

  @Test("values stay readable after the file object is gone")
  func ownedValues() throws {
    func read() throws -> Tensor { try Fixtures.tensors("dtypes/F32.safetensors").tensor("matrix") }
    let expected = try Fixtures.tensors("dtypes/expected.safetensors").tensor("F32.matrix")
    #expect(try bits(read()) == bits(expected))
  }

  /// A file that should be refused, and words its refusal must hold.
  struct Malformed: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    let words: [String]

    init(_ description: String, bytes: [UInt8], words: [String]) {
      testDescription = description
      self.bytes = bytes
      self.words = words
    }

    init(_ description: String, header: String, data: Int = 8, words: [String]) {
      let text = Array(header.utf8)
      let length = withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init)
      self.init(description, bytes: length + text + [UInt8](repeating: 0, count: data), words: words)
    }
  }

  static let malformed: [Malformed] = [
    Malformed("an empty file", bytes: [], words: ["is empty"]),
    Malformed("a single byte", bytes: [1], words: ["it has 1 byte,"]),
    Malformed("fewer bytes than the header length takes", bytes: [1, 2, 3], words: ["3 bytes"]),
    Malformed("a header length past the end", bytes: [200, 0, 0, 0, 0, 0, 0, 0, 123, 125], words: ["200", "past"]),
    Malformed(
      "a header length beyond all integers", bytes: [UInt8](repeating: 255, count: 16),
      words: ["18446744073709551615 bytes", "past"]),
    Malformed("a header length of zero", bytes: [UInt8](repeating: 0, count: 8), words: ["JSON"]),
    Malformed("a header that is not JSON", header: "{\"a\": ", words: ["JSON"]),
    Malformed("a header that is a list", header: "[1, 2]", words: ["list"]),
    Malformed(
      "data that is cut short", header: #"{"w.a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#, data: 12,
      words: ["'w.a'", "truncated", "16"]),
    Malformed(
      "offsets out of range", header: #"{"w":{"dtype":"F32","shape":[2],"data_offsets":[100,108]}}"#,
      words: ["'w'", "108"]),
    Malformed(
      "offsets that run backwards", header: #"{"w":{"dtype":"F32","shape":[0],"data_offsets":[8,0]}}"#,
      words: ["'w'"]),
    Malformed(
      "a negative offset", header: #"{"w":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#, words: ["'w'"]),
    Malformed(
      "an offset beyond all integers",
      header: #"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,99999999999999999999]}}"#, words: ["'w'"]),
    Malformed(
      "overlapping offsets",
      header: #"""
        {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}
        """#, words: ["'a'", "'b'", "overlap"]),
    Malformed(
      "one range for two tensors",
      header: #"""
        {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}
        """#, words: ["'a'", "'b'", "overlap"]),
    Malformed(
      "a shape that does not multiply to the bytes",
      header: #"{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, words: ["'w'", "[3]", "8 bytes"]),
    Malformed(
      "a shape whose product overflows",
      header: #"{"w":{"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,0]}}"#, words: ["'w'"]),
    Malformed(
      "a negative extent", header: #"{"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, words: ["'w'"]),
    Malformed(
      "an unknown dtype", header: #"{"w":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}"#,
      words: ["'w'", "F8_E4M3", "F32"]),
    Malformed(
      "an entry without a dtype", header: #"{"w":{"shape":[2],"data_offsets":[0,8]}}"#, words: ["'w'", "dtype"]),
    Malformed("an entry that is a number", header: #"{"w":4}"#, words: ["'w'"]),
    Malformed(
      "three offsets", header: #"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4,8]}}"#, words: ["'w'", "offsets"]),
    Malformed(
      "one name twice",
      header: #"""
        {"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}
        """#, words: ["w", "JSON"]),
  ]

  @Test("refuses what is malformed in a sentence that names file and tensor", arguments: malformed)
  func refusals(_ file: Malformed) throws {
    try withScratchFolder { folder in
      let path = folder + "/broken.safetensors"
      try Data(file.bytes).write(to: URL(fileURLWithPath: path))
      let error = try #require(throws: SafetensorsError.self) { try SafetensorsFile(path) }
      #expect(error.description.contains("broken.safetensors"))
      #expect(!error.description.contains("\n"))
      for word in file.words { #expect(error.description.contains(word), "\(error)") }
    }
  }

  @Test("every cut of a good file is refused")
  func everyTruncation() throws {
    let bytes = Safetensors.encode([("a", Tensor.ones([3])), ("b", Tensor.ones([2, 2]))])
    try withScratchFolder { folder in
      let path = folder + "/cut.safetensors"
      for count in 0..<bytes.count {
        try Data(bytes.prefix(count)).write(to: URL(fileURLWithPath: path))
        #expect(throws: SafetensorsError.self, "cut to \(count) of \(bytes.count) bytes") { try SafetensorsFile(path) }
      }
    }
  }

  @Test("a missing file, a folder, and a tensor that is not there are named")
  func missing() throws {
    let absent = try #require(throws: SafetensorsError.self) { try SafetensorsFile("/nowhere/model.safetensors") }
    #expect(absent.description.contains("/nowhere/model.safetensors"))
    let folder = try #require(throws: SafetensorsError.self) { try SafetensorsFile(Fixtures.folder) }
    #expect(folder.description.contains("not a file"))
    let file = try Fixtures.tensors("dtypes/F32.safetensors")
    let unknown = try #require(throws: SafetensorsError.self) { try file.tensor("matrxi") }
    #expect(unknown.description.contains("matrxi") && unknown.description.contains("'matrix'"))
    #expect(throws: SafetensorsError.self) { try file.shape(of: "other") }
  }

  @Test("a file that cannot be written is named, and leaves nothing behind")
  func unwritable() throws {
    try withScratchFolder { folder in
      let path = folder + "/no/such/folder/w.safetensors"
      let error = try #require(throws: FileError.self) {
        try Safetensors.write([("a", Tensor(1))], to: path)
      }
      #expect(error.description == "\(path): cannot be written: No such file or directory")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }
}
