public import Configuration

/// The tensors of a file that PyTorch's `torch.save` wrote: `.bin`, `.pt` and `.ckpt` since PyTorch 1.6.
///
/// Such a file is a zip archive of a pickle and of the numbers that its tensors are views of. The pickle is read by
/// ``PickleReader``, which runs nothing. A checkpoint of a training, with its tensors under `state_dict`, is read as
/// these alone. Tensors of integers are passed over (``unread``), as ``SafetensorsFile`` does. Numbers are read as
/// float32 (``TensorElement``).
public final class TorchFile {
  private struct Entry {
    let element: TensorElement
    /// The first byte of the storage in the file.
    let start: Int
    let view: PickledTensor
  }

  public let path: String
  /// The names of all tensors, sorted.
  public let names: [String]
  /// The tensors that are passed over, by name.
  public let unread: [String: UnreadTensor]
  /// The free text that Lethe left beside the tensors.
  public let metadata: [String: String]
  private let entries: [String: Entry]
  private let mapping: FileMapping

  /// - Throws: `FileError` where the file is missing, truncated, no such archive, or has anything else in it.
  public init(_ path: String) throws(FileError) {
    let mapping = try FileMapping(path)
    guard ZipArchive.isArchive(mapping) else { throw FileError(path, Self.problem(ofNoArchive: mapping)) }
    let archive = try ZipArchive(mapping, path: path)
    guard let pickle = archive.entries.filter({ $0.key.hasSuffix("/data.pkl") }).min(by: { $0.key < $1.key }) else {
      throw FileError(path, "has no entry data.pkl, as the files of PyTorch do")
    }
    try archive.confirmChecksum(of: pickle.key, path: path)
    let folder = pickle.key.dropLast("data.pkl".count)
    if let order = archive.entries[folder + "byteorder"], mapping.bytes[order].elementsEqual("big".utf8) {
      throw FileError(path, "was written by a processor with the other byte order")
    }
    let content = try PickleReader.read(UnsafeRawBufferPointer(rebasing: mapping.bytes[pickle.value]), path: path)
    (entries, unread) = try Self.entries(of: Self.dictionary(content, path), in: archive, folder: String(folder), path)
    names = entries.keys.sorted()
    metadata = try Self.metadata(archive, folder + Self.metadataName)
    self.path = path
    self.mapping = mapping
  }

  /// What a file is that is no archive.
  private static func problem(ofNoArchive mapping: FileMapping) -> String {
    // After a byte each for the protocol of a pickle and its version: the number that PyTorch began its files with.
    let number: [UInt8] = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9]
    if mapping.bytes.first == 0x80, mapping.bytes.dropFirst(2).starts(with: number) {
      return "is no file of PyTorch 1.6 or newer, which are zip archives; torch.load and torch.save make one of an "
        + "older"
    }
    if mapping.count > 8, mapping.bytes[8] == UInt8(ascii: "{"),
      mapping.integer(0, as: UInt64.self) <= UInt64(mapping.count - 8)
    {
      return "looks like a safetensors file, which is read as one where its name ends in .safetensors"
    }
    return "is no checkpoint that Lethe knows: neither a zip archive, as PyTorch writes them, nor a safetensors file"
  }

  /// An entry beside the pickle, which other readers pass over.
  static let metadataName = "lethe.json"

  private static func metadata(_ archive: ZipArchive, _ name: String) throws(FileError) -> [String: String] {
    guard let range = archive.entries[name] else { return [:] }
    do throws(JSONError) {
      return try JSON.parse(archive.mapping.bytes[range], file: archive.mapping.path).object?.compactMapValues(\.string)
        ?? [:]
    } catch {
      throw FileError(archive.mapping.path, "its entry \(metadataName) is not JSON: \(error.message)")
    }
  }

  /// The entries that have the tensors.
  private static func dictionary(
    _ pickle: Pickle, _ path: String
  ) throws(FileError) -> [(key: String, value: PickledValue)] {
    guard let entries = pickle.entries(pickle.root) else { throw FileError(path, "holds no dictionary of tensors") }
    return entries.first { $0.key == "state_dict" }.flatMap { pickle.entries($0.value) } ?? entries
  }

  private static func entries(
    of dictionary: [(key: String, value: PickledValue)], in archive: ZipArchive, folder: String, _ path: String
  ) throws(FileError) -> ([String: Entry], [String: UnreadTensor]) {
    var entries: [String: Entry] = [:]
    var unread: [String: UnreadTensor] = [:]
    for (name, value) in dictionary {
      guard case .tensor(let view) = value else { continue }
      try check(view, name, path)
      guard entries[name] == nil, unread[name] == nil else { throw FileError(path, "has two tensors '\(name)'") }
      let type = view.storage.dataType
      guard let element = TensorElement(rawValue: type) else {
        unread[name] = UnreadTensor(name: name, dataType: type, shape: view.shape, path: path)
        continue
      }
      guard let bytes = archive.entries[folder + "data/" + view.storage.key] else {
        throw FileError(path, "tensor '\(name)' lies in an entry \"\(view.storage.key)\" that is not there")
      }
      guard view.storage.count <= bytes.count / element.byteCount else {
        throw FileError(
          path, "tensor '\(name)' is of \(view.storage.count) numbers where \(bytes.count / element.byteCount) are")
      }
      entries[name] = Entry(element: element, start: bytes.lowerBound, view: view)
    }
    return (entries, unread)
  }

  /// Refuses a view that reaches outside its storage.
  private static func check(_ view: PickledTensor, _ name: String, _ path: String) throws(FileError) {
    guard view.shape.count == view.strides.count, (view.shape + view.strides).allSatisfy({ $0 >= 0 }), view.offset >= 0
    else {
      throw FileError(
        path, "tensor '\(name)' has the shape \(view.shape), strides \(view.strides) and offset \(view.offset)")
    }
    var (last, overflow) = (view.offset, false)
    var count = 1
    for (extent, stride) in zip(view.shape, view.strides) {
      let reach = max(extent - 1, 0).multipliedReportingOverflow(by: stride)
      let sum = last.addingReportingOverflow(reach.partialValue)
      let product = count.multipliedReportingOverflow(by: max(extent, 1))
      overflow = overflow || reach.overflow || sum.overflow || product.overflow
      (last, count) = (sum.partialValue, product.partialValue)
    }
    let isEmpty = view.shape.contains(0)
    // A stride of zero would make a tensor of any size out of one number.
    guard !overflow, view.offset <= view.storage.count,
      isEmpty || last < view.storage.count && count <= view.storage.count
    else {
      throw FileError(
        path,
        "tensor '\(name)' of shape \(view.shape), strides \(view.strides) and offset \(view.offset) reaches outside "
          + "its \(view.storage.count) numbers")
    }
  }

  public func contains(_ name: String) -> Bool { entries[name] != nil }

  /// How the file keeps a tensor's values.
  public func element(of name: String) throws(FileError) -> TensorElement { try entry(name).element }

  /// - Throws: `FileError` where the file has no tensor of that name.
  public func shape(of name: String) throws(FileError) -> [Int] { try entry(name).view.shape }

  /// - Throws: `FileError` where the file has no tensor of that name.
  public func tensor(_ name: String) throws(FileError) -> Tensor { try tensor(name, isShown: false) }

  /// - Parameter isShown: whether the tensor may show the file's own memory; see ``FileMapping``
  func tensor(_ name: String, isShown: Bool) throws(FileError) -> Tensor {
    let entry = try entry(name)
    let view = entry.view
    let offset = entry.start + view.offset * entry.element.byteCount
    if view.isDense {
      return mapping.tensor(entry.element, at: offset, shape: view.shape, isShown: isShown)
    }
    let rest = mapping.tensor(
      entry.element, at: offset, shape: [view.storage.count - view.offset], isShown: true)
    return Self.gathered(rest, view)
  }

  /// - Throws: `FileError` where the file is not the one that was opened any more, or was written to since.
  func confirmUnchanged() throws(FileError) { try mapping.confirmUnchanged() }

  private func entry(_ name: String) throws(FileError) -> Entry {
    if let entry = entries[name] { return entry }
    if let tensor = unread[name] { throw FileError(path, "tensor '\(name)' \(tensor.problem)") }
    let hint = nearest(to: name, among: names).map { " (is it '\($0)'?)" } ?? ""
    throw FileError(path, "has no tensor '\(name)'\(hint)")
  }

  /// The values of a view with gaps, from the numbers that begin with its first.
  private static func gathered(_ numbers: Tensor, _ view: PickledTensor) -> Tensor {
    Tensor.make(view.shape) { out in
      var index = [Int](repeating: 0, count: view.shape.count)
      for place in out.indices {
        out[place] = numbers.pointer[zip(index, view.strides).reduce(0) { $0 + $1.0 * $1.1 }]
        for axis in index.indices.reversed() {
          index[axis] += 1
          if index[axis] < view.shape[axis] { break }
          index[axis] = 0
        }
      }
    }
  }
}
