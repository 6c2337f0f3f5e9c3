internal import CKernels
internal import CZlib
public import Configuration

extension TorchFile {
  /// The bytes of a file that `torch.load(weights_only=True)` opens: a dictionary of tensors, each in an entry of its
  /// own. The same tensors give the same bytes.
  ///
  /// - Parameters:
  ///   - tensors: named tensors, written in the order of their names
  ///   - half: whether to keep float16 instead of float32, rounded to nearest
  public static func encode(_ tensors: [(name: String, tensor: Tensor)], half: Bool = false) -> [UInt8] {
    let sorted = tensors.sorted { $0.name < $1.name }
    var archive = ZipWriter()
    archive.add("archive/data.pkl", PickleWriter.stateDictionary(sorted, half: half))
    archive.add("archive/byteorder", Array("little".utf8))
    for (index, entry) in sorted.enumerated() { archive.add("archive/data/\(index)", numbers(entry.tensor, half: half)) }
    archive.add("archive/version", Array("3\n".utf8))
    return archive.finished()
  }

  /// Writes a file of which a reader sees all or nothing.
  ///
  /// - Throws: `FileError` where the file cannot be written.
  public static func write(
    _ tensors: [(name: String, tensor: Tensor)], to path: String, half: Bool = false
  ) throws(FileError) {
    try WholeFile.write(encode(tensors, half: half), to: path)
  }

  private static func numbers(_ tensor: Tensor, half: Bool) -> [UInt8] {
    let size = tensor.count * (half ? 2 : 4)
    return [UInt8](unsafeUninitializedCapacity: size) { bytes, count in
      let target = UnsafeMutableRawPointer(bytes.baseAddress!)
      if half {
        lethe_to_half(tensor.pointer, target.assumingMemoryBound(to: UInt16.self), tensor.count)
      } else {
        target.copyMemory(from: tensor.pointer, byteCount: size)
      }
      count = size
    }
  }
}

/// The pickle of a dictionary of tensors, as PyTorch writes it (protocol 2).
private struct PickleWriter {
  private var bytes: [UInt8] = []

  static func stateDictionary(_ tensors: [(name: String, tensor: Tensor)], half: Bool) -> [UInt8] {
    var pickle = PickleWriter()
    pickle.bytes += [0x80, 2]
    pickle.emptyDictionary()
    pickle.code("(")
    for (index, entry) in tensors.enumerated() {
      pickle.text(entry.name)
      pickle.tensor(entry.tensor, storage: index, type: half ? "HalfStorage" : "FloatStorage")
    }
    pickle.code("u")
    pickle.code(".")
    return pickle.bytes
  }

  /// torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())
  private mutating func tensor(_ tensor: Tensor, storage: Int, type: String) {
    global("torch._utils", "_rebuild_tensor_v2")
    code("(")
    code("(")
    text("storage")
    global("torch", type)
    text("\(storage)")
    text("cpu")
    integer(tensor.count)
    code("t")
    code("Q")
    integer(0)
    tuple(tensor.shape)
    var (step, strides) = (1, [Int]())
    for extent in tensor.shape.reversed() {
      strides.append(step)
      step *= max(extent, 1)
    }
    tuple(strides.reversed())
    bytes.append(0x89)
    emptyDictionary()
    code("t")
    code("R")
  }

  private mutating func emptyDictionary() {
    global("collections", "OrderedDict")
    code(")")
    code("R")
  }

  private mutating func code(_ code: Character) { bytes.append(code.asciiValue ?? 0) }

  private mutating func global(_ module: String, _ name: String) { bytes += Array("c\(module)\n\(name)\n".utf8) }

  private mutating func text(_ text: String) {
    code("X")
    append(UInt32(text.utf8.count))
    bytes += Array(text.utf8)
  }

  private mutating func integer(_ value: Int) {
    if let small = Int32(exactly: value) {
      code("J")
      append(small)
    } else {
      bytes += [0x8a, 8]
      append(Int64(value))
    }
  }

  private mutating func tuple(_ numbers: [Int]) {
    code("(")
    for number in numbers { integer(number) }
    code("t")
  }

  private mutating func append(_ number: some FixedWidthInteger) {
    withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
  }
}

/// A zip archive of entries that are kept as they are, each beginning at a multiple of 64 bytes as PyTorch aligns them.
private struct ZipWriter {
  private var bytes: [UInt8] = []
  private var directory: [UInt8] = []
  private var count = 0

  /// The years of a zip archive begin with 1980; the same tensors are to give the same bytes at any time.
  private static let firstOfJanuary1980: UInt16 = 1 << 5 | 1

  mutating func add(_ name: String, _ content: [UInt8]) {
    let local = bytes.count
    let sum = content.withUnsafeBytes { crc32_z(0, $0.bindMemory(to: UInt8.self).baseAddress, content.count) }
    let unpadded = local + 30 + name.utf8.count
    // An extra field of its own kind fills the gap; it takes four bytes at least.
    let padding = (64 - (unpadded + 4) % 64) % 64
    append(UInt32(0x0403_4b50), to: &bytes)
    describe(content.count, UInt32(sum), name, extra: 4 + padding, to: &bytes)
    bytes += Array(name.utf8)
    append(UInt16(0x4246), to: &bytes)
    append(UInt16(padding), to: &bytes)
    bytes += [UInt8](repeating: 0x5a, count: padding)
    bytes += content

    append(UInt32(0x0201_4b50), to: &directory)
    append(UInt16(0), to: &directory)
    describe(content.count, UInt32(sum), name, extra: 0, to: &directory)
    // No comment, the first disk, no attributes.
    directory += [UInt8](repeating: 0, count: 2 + 2 + 2 + 4)
    append(UInt32(local), to: &directory)
    directory += Array(name.utf8)
    count += 1
  }

  func finished() -> [UInt8] {
    var whole = bytes + directory
    append(UInt32(0x0605_4b50), to: &whole)
    whole += [0, 0, 0, 0]
    append(UInt16(count), to: &whole)
    append(UInt16(count), to: &whole)
    append(UInt32(directory.count), to: &whole)
    append(UInt32(bytes.count), to: &whole)
    return whole + [0, 0]
  }

  /// What stands alike before an entry and in the directory.
  private func describe(_ size: Int, _ sum: UInt32, _ name: String, extra: Int, to bytes: inout [UInt8]) {
    append(UInt16(0), to: &bytes)
    append(UInt16(0), to: &bytes)
    append(UInt16(0), to: &bytes)
    append(UInt16(0), to: &bytes)
    append(Self.firstOfJanuary1980, to: &bytes)
    append(sum, to: &bytes)
    append(UInt32(size), to: &bytes)
    append(UInt32(size), to: &bytes)
    append(UInt16(name.utf8.count), to: &bytes)
    append(UInt16(extra), to: &bytes)
  }

  private func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
  }
}
