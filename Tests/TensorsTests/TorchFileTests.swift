import Configuration
import Foundation
import Tensors
import TestSupport
import Testing

@Suite("Files of PyTorch")
struct TorchFileTests {
  @Test(
    "reads what torch.save wrote: views with gaps, halves, doubles, parameters, and a training's state_dict",
    arguments: ["plain.pt", "protocol5.pt", "training.ckpt"])
  func reading(name: String) throws {
    let file = try TorchFile(Fixtures.path("torch/\(name)"))
    let expected = try Fixtures.tensors("torch/expected.safetensors")
    #expect(
      file.names == [
        "bfloat", "column", "double", "empty", "half", "matrix", "parameter", "part", "scalar", "transposed",
      ])
    for name in file.names {
      let (tensor, wanted) = (try file.tensor(name), try expected.tensor(name))
      #expect(tensor.shape == wanted.shape, "\(name)")
      #expect(bits(tensor) == bits(wanted), "\(name)")
    }
    #expect(file.unread.mapValues(\.dataType) == ["position_ids": "I64", "flags": "BOOL"])
    #expect(file.unread["position_ids"]?.shape == [7])
    let error = #expect(throws: FileError.self) { try file.tensor("flags") }
    #expect(
      error?.message == "tensor 'flags' has the data type BOOL, which Lethe does not read as weights; it reads F32, "
        + "F16, BF16 and F64")
  }

  @Test("reads a module's state_dict, which carries more than its tensors")
  func module() throws {
    let file = try TorchFile(Fixtures.path("torch/module.bin"))
    let expected = try Fixtures.tensors("torch/expected.safetensors")
    #expect(file.names == ["0.bias", "0.weight", "1.bias", "1.weight"])
    for name in file.names { #expect(try bits(file.tensor(name)) == bits(expected.tensor("module." + name))) }
  }

  @Test(
    "whatever is no plain file of tensors is refused by one sentence, and nothing in it runs",
    arguments: [
      ("harmful.pt", "its pickle has the name __builtin__.print of Python, which could run code"),
      ("class.pt", "its pickle has the name _io.BytesIO of Python"),
      ("instance.pt", "its pickle has the instruction 0x69 at byte"),
      ("stride.pt", "tensor 'x' of shape [2], strides [2] and offset 0 reaches outside its 2 numbers"),
      ("negative.pt", "tensor 'x' has the shape [2], strides [-1] and offset 1"),
      ("repeated.pt", "tensor 'x' of shape [1073741824], strides [0] and offset 0 reaches outside its 2 numbers"),
      ("offset.pt", "tensor 'x' of shape [2], strides [1] and offset 1 reaches outside its 2 numbers"),
      ("huge.pt", "reaches outside its 2 numbers"),
      ("count.pt", "tensor 'x' is of 3 numbers where 2 are"),
      ("elsewhere.pt", "tensor 'x' lies in an entry \"7\" that is not there"),
      ("unfinished.pt", "truncated: its pickle ends early"),
      ("bomb.pt", "is compressed (method 8)"),
      ("truncated.pt", "truncated: a zip archive without the directory at its end"),
      ("legacy.pt", "is no file of PyTorch 1.6 or newer"),
      ("absent.pt", "cannot be opened: No such file or directory"),
    ])
  func refused(name: String, sentence: String) {
    let path = Fixtures.path("torch/\(name)")
    let error = #expect(throws: FileError.self) { try TorchFile(path) }
    #expect(error?.description.hasPrefix(path + ": ") == true)
    #expect(error?.message.contains(sentence) == true, "\(error?.message ?? "")")
  }

  /// A zip archive of a pickle alone, kept as it is and, as PyTorch can be told to, without its checksum.
  private func archive(_ pickle: [UInt8]) -> [UInt8] {
    func bytes(_ numbers: [(UInt32, Int)]) -> [UInt8] {
      numbers.flatMap { number, size in (0..<size).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
    }
    let name = Array("archive/data.pkl".utf8)
    let (size, length) = (UInt32(pickle.count), UInt32(name.count))
    let facts: [(UInt32, Int)] = [(0, 2), (0, 2), (0, 2), (0, 2), (33, 2), (0, 4), (size, 4), (size, 4), (length, 2)]
    let entry = bytes([(0x0403_4b50, 4)] + facts + [(0, 2)]) + name + pickle
    let directory = bytes([(0x0201_4b50, 4), (0, 2)] + facts + [(0, 2), (0, 2), (0, 2), (0, 2), (0, 4), (0, 4)]) + name
    let end: [(UInt32, Int)] = [
      (0x0605_4b50, 4), (0, 4), (1, 2), (1, 2), (UInt32(directory.count), 4), (UInt32(entry.count), 4), (0, 2),
    ]
    return entry + directory + bytes(end)
  }

  /// The pickle of a dictionary of tensors, each called `x` and of two numbers.
  private func pickle(_ tensors: [(storage: String, stride: Int)]) -> [UInt8] {
    func integer(_ value: Int) -> String { "J\(Unicode.Scalar(UInt8(value)))\0\0\0" }
    let entries = tensors.map { storage, stride in
      Array("X\u{1}\0\0\0xctorch._utils\n_rebuild_tensor_v2\n((X\u{7}\0\0\0storagectorch\n\(storage)\n".utf8)
        + Array("X\u{1}\0\0\00X\u{3}\0\0\0cpu\(integer(2))tQ\(integer(0))".utf8)
        + Array("(\(integer(2))t(\(integer(stride))t".utf8) + [0x89] + Array("ccollections\nOrderedDict\n)RtRs".utf8)
    }
    return [0x80, 2] + Array("}".utf8) + entries.joined() + Array(".".utf8)
  }

  @Test(
    "tensors of integers are passed over once their views and names are known to be right",
    arguments: [
      ([("LongStorage", 1)], nil),
      ([("LongStorage", 2)], "tensor 'x' of shape [2], strides [2] and offset 0 reaches outside its 2 numbers"),
      ([("LongStorage", 1), ("BoolStorage", 1)], "has two tensors 'x'"),
      ([("Size", 1)], "its pickle has a reference to something else than the numbers of a tensor"),
    ] as [([(storage: String, stride: Int)], String?)])
  func integers(tensors: [(storage: String, stride: Int)], sentence: String?) throws {
    try withScratchFolder { folder in
      let path = folder + "/a.pt"
      try WholeFile.write(archive(pickle(tensors)), to: path)
      guard let sentence else {
        #expect(try TorchFile(path).unread.mapValues(\.dataType) == ["x": "I64"])
        return
      }
      let error = #expect(throws: FileError.self) { try TorchFile(path) }
      #expect(error?.message == sentence)
    }
  }

  @Test("lists in lists, however deep, end in a sentence and not in the stack's end")
  func depth() throws {
    let depth = 300_000
    let lists = [UInt8](repeating: UInt8(ascii: "]"), count: depth)
    let appends = [UInt8](repeating: UInt8(ascii: "a"), count: depth - 1)
    try withScratchFolder { folder in
      try WholeFile.write(archive([0x80, 2] + lists + appends + Array(".".utf8)), to: folder + "/deep.pt")
      let error = #expect(throws: FileError.self) { try TorchFile(folder + "/deep.pt") }
      #expect(error?.message == "holds no dictionary of tensors")
    }
  }

  @Test("the class under which Stable Diffusion 1 keeps a training's state may stand there and not be called")
  func callback() throws {
    let name = "cpytorch_lightning.callbacks.model_checkpoint\nModelCheckpoint\n"
    try withScratchFolder { folder in
      let state = archive([0x80, 2] + Array("}(X\u{9}\0\0\0callbacks}\(name)}su.".utf8))
      try WholeFile.write(state, to: folder + "/a.ckpt")
      #expect(try TorchFile(folder + "/a.ckpt").names.isEmpty)
      try WholeFile.write(archive([0x80, 2] + Array("\(name))R.".utf8)), to: folder + "/b.ckpt")
      let error = #expect(throws: FileError.self) { try TorchFile(folder + "/b.ckpt") }
      #expect(error?.message.contains("a call of pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint") == true)
    }
  }

  @Test("a pickle whose bytes are not those that its checksum was made of is refused, unless none was written")
  func checksum() throws {
    let whole = try Array(Data(contentsOf: URL(fileURLWithPath: Fixtures.path("torch/plain.pt"))))
    // A name in the pickle, which stands nowhere else: another letter makes a file that says nothing of its damage.
    let name = Array("transposed".utf8)
    let place = try #require((0..<whole.count).first { whole[$0...].starts(with: name) })
    var damaged = whole
    damaged[place] = UInt8(ascii: "T")
    try withScratchFolder { folder in
      try WholeFile.write(damaged, to: folder + "/a.pt")
      let error = #expect(throws: FileError.self) { try TorchFile(folder + "/a.pt") }
      #expect(error?.message.contains("/data.pkl\" is damaged: its checksum (CRC-32) is not the one") == true)

      // The pickle is the first entry of the directory.
      let entry = try #require((0..<whole.count).first { whole[$0...].starts(with: Array("PK\u{1}\u{2}".utf8)) })
      for byte in 16..<20 { damaged[entry + byte] = 0 }
      try WholeFile.write(damaged, to: folder + "/b.pt")
      #expect(try TorchFile(folder + "/b.pt").contains("Transposed"))
    }
  }

  @Test("every cut of a good file ends in a sentence and not in a crash")
  func cuts() throws {
    let whole = try Array(Data(contentsOf: URL(fileURLWithPath: Fixtures.path("torch/plain.pt"))))
    try withScratchFolder { folder in
      for count in stride(from: 0, to: whole.count, by: 7) {
        try WholeFile.write(Array(whole.prefix(count)), to: folder + "/cut.pt")
        #expect(throws: FileError.self) { try TorchFile(folder + "/cut.pt") }
      }
    }
  }

  @Test("writes the very bytes that torch.load opened with weights_only when the fixture was made")
  func written() throws {
    let tensors = [("b", Tensor(2)), ("a.weight", Tensor([.infinity, -0.0, 1, 0.5], shape: [2, 1, 2]))]
    let bytes = TorchFile.encode(tensors, metadata: ["lethe.base": "abc"])
    let expected = try [UInt8](Data(contentsOf: URL(fileURLWithPath: Fixtures.path("torch/written.pt"))))
    #expect(bytes == expected)
    try withScratchFolder { folder in
      try TorchFile.write(tensors, to: folder + "/t.pt", metadata: ["lethe.base": "abc"])
      #expect(try [UInt8](Data(contentsOf: URL(fileURLWithPath: folder + "/t.pt"))) == expected)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["t.pt"])
    }
  }

  @Test("a file is written tensor by tensor: the memory that it takes is that of the largest, and not of all")
  func memory() async {
    await #expect(processExitsWith: .success) {
      let tensors = (0..<64).map { (name: "w\($0)", tensor: Tensor.ones([1 << 19])) }
      try withScratchFolder { folder in
        let before = try peak()
        try TorchFile.write(tensors, to: folder + "/t.pt", half: true)
        #expect(try peak() - before < 16 << 20)
      }
    }
  }

  @Test("a folder that is not there and one in the file's place are told, and nothing is left behind")
  func unwritable() throws {
    try withScratchFolder { folder in
      try WholeFile.makeFolder(folder + "/taken")
      for (path, reason) in [("/no/t.pt", "No such file or directory"), ("/taken", "Is a directory")] {
        let error = #expect(throws: FileError.self) { try TorchFile.write([("a", Tensor(1))], to: folder + path) }
        #expect(error?.description == "\(folder)\(path): cannot be written: \(reason)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["taken"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/taken").isEmpty)
      }
    }
  }

  @Test("reads back the bits it wrote, and writes the same tensors as the same bytes", arguments: [false, true])
  func roundTrip(half: Bool) throws {
    let odd = Tensor([.infinity, -0.0, 1, 0.5], shape: [2, 1, 2])
    let matrix = RandomStream(seed: 1, "matrix").normal([4, 3])
    let tensors = [("b.weight", matrix), ("a", odd), ("empty", Tensor([], shape: [0, 2])), ("scalar", Tensor(2))]
    try withScratchFolder { folder in
      try TorchFile.write(tensors, to: folder + "/t.pt", metadata: ["lethe.base": "é"], half: half)
      let file = try TorchFile(folder + "/t.pt")
      #expect(file.metadata == ["lethe.base": "é"])
      #expect(file.names == ["a", "b.weight", "empty", "scalar"])
      let rounded = Weights(Dictionary(uniqueKeysWithValues: tensors), source: "t").roundedToHalf()
      for (name, tensor) in tensors {
        #expect(try file.tensor(name).shape == tensor.shape)
        #expect(try bits(file.tensor(name)) == bits(half ? rounded[name] ?? tensor : tensor), "\(name)")
      }
      #expect(TorchFile.encode(tensors) == TorchFile.encode(tensors.reversed()))
    }
  }
}

/// The most memory that this process has held, in bytes.
private func peak() throws -> Int {
  let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
  let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
  return try #require(line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }) * 1024
}
