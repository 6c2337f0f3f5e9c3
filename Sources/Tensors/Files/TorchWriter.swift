internal import CZlib
public import Configuration

extension TorchFile {
  /// The bytes of a file that `torch.load(weights_only=True)` opens: a dictionary of tensors, each in an entry of its
  /// own. The same tensors give the same bytes.
  ///
  /// - Parameters:
  ///   - tensors: named tensors, written in the order of their names, less than 4 GiB in all
  ///   - metadata: free text beside the tensors, in an entry that PyTorch passes over
  ///   - half: whether to keep float16 instead of float32, rounded to nearest
  public static func encode(
    _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:], half: Bool = false
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(byteCount(tensors, half: half))
    pieces(tensors, metadata, half) { bytes.append(contentsOf: $0) }
    return bytes
  }

  /// The same bytes piece by piece: what stands before each entry, each entry, and the directory.
  private static func pieces(
    _ tensors: [(name: String, tensor: Tensor)], _ metadata: [String: String], _ half: Bool,
    _ append: (UnsafeRawBufferPointer) -> Void
  ) {
    let sorted = tensors.sorted { $0.name < $1.name }
    var archive = ZipWriter()
    func add(_ name: String, _ content: [UInt8]) { content.withUnsafeBytes { archive.add(name, $0, append) } }
    add("archive/data.pkl", PickleWriter.stateDictionary(sorted, half: half))
    add("archive/byteorder", Array("little".utf8))
    for (index, entry) in sorted.enumerated() {
      entry.tensor.withFileBytes(half: half) { archive.add("archive/data/\(index)", $0, append) }
    }
    add("archive/version", Array("3\n".utf8))
    if !metadata.isEmpty {
      add("archive/\(metadataName)", Array(JSON.object(metadata.mapValues(JSON.string)).canonical().utf8))
    }
    archive.finish(append)
  }

  /// Writes a file of which a reader sees all or nothing.
  ///
  /// - Throws: `FileError` where the file cannot be written, or would be of 4 GiB and more.
  public static func write(
    _ tensors: [(name: String, tensor: Tensor)], to path: String, metadata: [String: String] = [:], half: Bool = false
  ) throws(FileError) {
    guard byteCount(tensors, half: half) < Int(UInt32.max), tensors.count < Int(UInt16.max) - 8 else {
      throw FileError(
        path, "cannot be written: a file of PyTorch takes up to 4 GiB here; one ending in .safetensors can be larger")
    }
    try WholeFile.write(to: path) { pieces(tensors, metadata, half, $0) }
  }

  /// What a file takes at most: numbers, and for each tensor what stands in the pickle, in the directory and before it.
  private static func byteCount(_ tensors: [(name: String, tensor: Tensor)], half: Bool) -> Int {
    tensors.reduce(1 << 16) { $0 + $1.tensor.count * (half ? 2 : 4) + $1.name.utf8.count + 20 * $1.tensor.rank + 512 }
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
    bytes.append(littleEndian: UInt32(text.utf8.count))
    bytes += Array(text.utf8)
  }

  private mutating func integer(_ value: Int) {
    if let small = Int32(exactly: value) {
      code("J")
      bytes.append(littleEndian: small)
    } else {
      bytes += [0x8a, 8]
      bytes.append(littleEndian: Int64(value))
    }
  }

  private mutating func tuple(_ numbers: [Int]) {
    code("(")
    for number in numbers { integer(number) }
    code("t")
  }
}

/// A zip archive of entries that are kept as they are, each beginning at a multiple of 64 bytes as PyTorch aligns them.
/// What is written goes on at once, and only the directory is kept.
private struct ZipWriter {
  private var position = 0
  private var directory: [UInt8] = []
  private var count = 0

  /// The years of a zip archive begin with 1980; the same tensors are to give the same bytes at any time.
  private static let firstOfJanuary1980: UInt16 = 1 << 5 | 1

  mutating func add(
    _ name: String, _ content: UnsafeRawBufferPointer, _ append: (UnsafeRawBufferPointer) -> Void
  ) {
    let local = position
    let sum = crc32_z(0, content.bindMemory(to: UInt8.self).baseAddress, content.count)
    let unpadded = local + 30 + name.utf8.count
    // An extra field of its own kind fills the gap; it takes four bytes at least.
    let padding = (64 - (unpadded + 4) % 64) % 64
    var before: [UInt8] = []
    before.append(littleEndian: UInt32(0x0403_4b50))
    before += described(content.count, UInt32(sum), name, extra: 4 + padding)
    before += Array(name.utf8)
    before.append(littleEndian: UInt16(0x4246))
    before.append(littleEndian: UInt16(padding))
    before += [UInt8](repeating: 0x5a, count: padding)
    before.withUnsafeBytes(append)
    append(content)
    position += before.count + content.count

    directory.append(littleEndian: UInt32(0x0201_4b50))
    directory.append(littleEndian: UInt16(0))
    directory += described(content.count, UInt32(sum), name, extra: 0)
    // No comment, the first disk, no attributes.
    directory += [UInt8](repeating: 0, count: 2 + 2 + 2 + 4)
    directory.append(littleEndian: UInt32(local))
    directory += Array(name.utf8)
    count += 1
  }

  /// Writes the directory, which ends the archive.
  consuming func finish(_ append: (UnsafeRawBufferPointer) -> Void) {
    let length = directory.count
    directory.append(littleEndian: UInt32(0x0605_4b50))
    directory += [0, 0, 0, 0]
    directory.append(littleEndian: UInt16(count))
    directory.append(littleEndian: UInt16(count))
    directory.append(littleEndian: UInt32(length))
    directory.append(littleEndian: UInt32(position))
    directory += [0, 0]
    directory.withUnsafeBytes(append)
  }

  /// What stands alike before an entry and in the directory.
  private func described(_ size: Int, _ sum: UInt32, _ name: String, extra: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: UInt16(0))
    bytes.append(littleEndian: UInt16(0))
    bytes.append(littleEndian: UInt16(0))
    bytes.append(littleEndian: UInt16(0))
    bytes.append(littleEndian: Self.firstOfJanuary1980)
    bytes.append(littleEndian: sum)
    bytes.append(littleEndian: UInt32(size))
    bytes.append(littleEndian: UInt32(size))
    bytes.append(littleEndian: UInt16(name.utf8.count))
    bytes.append(littleEndian: UInt16(extra))
    return bytes
  }
}

extension [UInt8] {
  fileprivate mutating func append(littleEndian number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number.littleEndian) { self += $0 }
  }
}
