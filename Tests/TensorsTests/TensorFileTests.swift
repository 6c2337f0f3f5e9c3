import Configuration
import Foundation
import Tensors
import TestSupport
import Testing

@Suite("Files of tensors")
struct TensorFileTests {
  private func write(_ tensors: [(name: String, tensor: Tensor)], _ path: String) throws {
    if path.hasSuffix(".safetensors") {
      try Safetensors.write(tensors, to: path)
    } else {
      try TorchFile.write(tensors, to: path)
    }
  }

  private func address(_ tensor: Tensor?) -> UnsafePointer<Float>? { tensor?.withUnsafeValues(\.baseAddress) }

  @Test(
    "values that a file has in float32 are mapped and not copied where that is asked for",
    arguments: ["safetensors", "pt"])
  func mapped(ending: String) throws {
    let tensor = RandomStream(seed: 1, "mapped").normal([3, 5])
    try withScratchFolder { folder in
      try write([("w", tensor), ("none", Tensor([], shape: [0]))], "\(folder)/w.\(ending)")
      let file = try TensorFile("\(folder)/w.\(ending)")
      let (first, second) = (try file.finiteTensors(isMapped: true)["w"], try file.finiteTensors(isMapped: true)["w"])
      #expect(first.map(bits) == bits(tensor))
      #expect(address(first) == address(second))
      #expect(try address(file.finiteTensors()["w"]) != address(first))
      #expect(try file.finiteTensors(isMapped: true)["none"]?.shape == [0])
    }
  }

  @Test("a mapped tensor outlives the file object and the file's name")
  func lifetime() throws {
    let tensor = RandomStream(seed: 1, "lifetime").normal([3, 5])
    func read(_ path: String) throws -> Tensor { try #require(TensorFile(path).finiteTensors(isMapped: true)["w"]) }
    let mapped = try withScratchFolder { folder in
      try write([("w", tensor)], folder + "/w.safetensors")
      return try read(folder + "/w.safetensors")
    }
    #expect(bits(mapped) == bits(tensor))
  }

  @Test("what changes values in place changes a copy of mapped ones")
  func inPlace() throws {
    try withScratchFolder { folder in
      let path = folder + "/w.safetensors"
      try write([("w", Tensor([1, 2], shape: [2]))], path)
      var sum = try #require(TensorFile(path).finiteTensors(isMapped: true)["w"])
      sum.accumulateSquares(of: Tensor([3, 4], shape: [2]))
      #expect(sum.values == [10, 18])
      let weights = try Weights(loading: TensorFile(path), isMapped: true)
      let optimizer = AdamOptimizer(weights.tensors)
      optimizer.step([Tensor([1, 1], shape: [2])], learningRate: 0.5)
      #expect(optimizer.parameters[0].tensor.values == [0.5, 1.5])
      let average = ExponentialMovingAverage(weights.tensors, decay: 0.5, rampsUp: false)
      average.update(optimizer.parameters)
      #expect(average.parameters[0].tensor.values == [0.75, 1.75])
      #expect(weights["w"]?.values == [1, 2])
      #expect(try SafetensorsFile(path).tensor("w").values == [1, 2])
    }
  }

  @Test("float32 values at odd places and float64 values are read, and copied")
  func oddPlaces() throws {
    try withScratchFolder { folder in
      let path = folder + "/odd.safetensors"
      var header = #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#
      header += #""b":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}}"#
      while (8 + header.utf8.count) % 4 != 1 { header += " " }
      var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8)
      for value in [1.5, -2] as [Float] { bytes += withUnsafeBytes(of: value, Array.init) }
      bytes += withUnsafeBytes(of: 0.1, Array.init)
      try WholeFile.write(bytes, to: path)
      let tensors = try TensorFile(path).finiteTensors(isMapped: true)
      #expect(tensors["a"]?.values == [1.5, -2])
      #expect(tensors["b"]?.values == [0.1])
    }
  }

  @Test(
    "values that are infinite or not a number are refused by tensor and file",
    arguments: [.nan, .infinity, -.infinity] as [Float])
  func notFinite(value: Float) throws {
    try withScratchFolder { folder in
      var values = [Float](repeating: .greatestFiniteMagnitude, count: 600_000)
      let path = folder + "/w.ckpt"
      try write([("good", Tensor(values, shape: [600_000]))], path)
      #expect(try Weights(loading: TensorFile(path)).names == ["good"])
      values[599_999] = value
      try write([("bad", Tensor(values, shape: [2, 300_000])), ("good", Tensor(1))], path)
      let error = #expect(throws: WeightsError.self) { try Weights(loading: TensorFile(path)) }
      #expect(error?.description == "\(path): 'bad' has values that are infinite or not a number")
    }
  }

  @Test("a file that is replaced or written to while it is read is named", arguments: [true, false])
  func changed(isReplaced: Bool) throws {
    try withScratchFolder { folder in
      let path = folder + "/w.pt"
      try write([("w", Tensor(1))], path)
      let file = try TensorFile(path)
      if isReplaced {
        try write([("w", Tensor(1))], path)
      } else {
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data([0]))
        try handle.close()
      }
      let error = #expect(throws: FileError.self) { try file.finiteTensors() }
      #expect(error?.description == "\(path): changed while it was being read")
    }
  }

  @Test("a file that is cut short while its values are in use ends the program with its name and status 1")
  func cutShort() async throws {
    let result = try await #require(
      processExitsWith: .exitCode(1), observing: [\.standardErrorContent]
    ) {
      try withScratchFolder { folder in
        let path = folder + "/cut.safetensors"
        try Safetensors.write([("w", Tensor.ones([1 << 16]))], to: path)
        let tensor = try #require(TensorFile(path).finiteTensors(isMapped: true)["w"])
        #expect(truncate(path, 4096) == 0)
        _ = tensor.sum()
      }
    }
    let said = String(decoding: result.standardErrorContent, as: UTF8.self)
    #expect(said.contains("lethe: error: /"))
    #expect(said.contains("/cut.safetensors: was cut short while it was being read\n"))
  }

  @Test(
    "what is no checkpoint is told as what it is and not as an old one",
    arguments: [
      ("", "is empty"), ("\n <!DOCTYPE HTML>\n<html lang=\"en\">", "starts like an HTML page"),
      ("<html><head>", "starts like an HTML page"),
      ("version https://git-lfs.github.com/spec/v1\n", "is only the pointer"),
      ("a diary", "is no checkpoint that Lethe knows: neither a zip archive, as PyTorch writes them, nor a safete"),
      ("\u{2}\0\0\0\0\0\0\0{}", "looks like a safetensors file, which is read as one where its name ends in .s"),
    ])
  func foreign(content: String, sentence: String) throws {
    try withScratchFolder { folder in
      try WholeFile.write(content, to: "\(folder)/model.ckpt")
      let error = #expect(throws: FileError.self) { try TensorFile("\(folder)/model.ckpt") }
      #expect(error?.description.hasPrefix("\(folder)/model.ckpt: \(sentence)") == true, "\(error?.message ?? "")")
    }
  }

  @Test("an HTML page under the name of safetensors is told as one")
  func page() throws {
    try withScratchFolder { folder in
      try WholeFile.write("<!doctype html><title>Not found</title>", to: "\(folder)/model.safetensors")
      let error = #expect(throws: SafetensorsError.self) { try TensorFile("\(folder)/model.safetensors") }
      #expect(error?.description.hasPrefix("\(folder)/model.safetensors: starts like an HTML page") == true)
    }
  }
}
