internal import CKernels
public import Configuration

/// The tensors of a file that PyTorch's `torch.save` wrote: `.bin`, `.pt` and `.ckpt` since PyTorch 1.6.
///
/// Such a file is a zip archive of a pickle and of the numbers that its tensors are views of. The pickle is read by
/// ``PickleReader``, which runs nothing. A checkpoint of a training, with its tensors under `state_dict`, is read as
/// these alone. Tensors of integers are passed over, as ``SafetensorsFile`` does. Numbers are widened or rounded to
/// float32.
public final class TorchFile {
  private enum Element: String {
    case float = "FloatStorage"
    case half = "HalfStorage"
    case bfloat = "BFloat16Storage"
    case double = "DoubleStorage"

    var byteCount: Int {
      switch self {
      case .half, .bfloat: 2
      case .float: 4
      case .double: 8
      }
    }
  }

  private struct Entry {
    let element: Element
    /// The first byte of the storage in the file.
    let start: Int
    let view: PickledTensor
  }

  public let path: String
  /// The names of all tensors, sorted.
  public let names: [String]
  private let entries: [String: Entry]
  private let mapping: FileMapping

  /// - Throws: `FileError` where the file is missing, truncated, no such archive, or has anything else in it.
  public init(_ path: String) throws(FileError) {
    let mapping = try FileMapping(path)
    guard ZipArchive.isArchive(mapping) else {
      throw FileError(
        path,
        "is no file of PyTorch 1.6 or newer, which are zip archives; torch.load and torch.save make one of an older")
    }
    let archive = try ZipArchive(mapping, path: path)
    guard let pickle = archive.entries.first(where: { $0.key.hasSuffix("/data.pkl") }) else {
      throw FileError(path, "has no entry data.pkl, as the files of PyTorch do")
    }
    let folder = pickle.key.dropLast("data.pkl".count)
    if let order = archive.entries[folder + "byteorder"], mapping.bytes[order].elementsEqual("big".utf8) {
      throw FileError(path, "was written by a processor with the other byte order")
    }
    let root = try PickleReader.read(UnsafeRawBufferPointer(rebasing: mapping.bytes[pickle.value]), path: path)
    entries = try Self.entries(of: Self.dictionary(root, path), in: archive, folder: String(folder), path)
    names = entries.keys.sorted()
    self.path = path
    self.mapping = mapping
  }

  /// The dictionary that has the tensors.
  private static func dictionary(_ root: PickledValue, _ path: String) throws(FileError) -> PickledDictionary {
    guard case .dictionary(let dictionary) = root else { throw FileError(path, "holds no dictionary of tensors") }
    for entry in dictionary.entries {
      if case .string("state_dict") = entry.key, case .dictionary(let inner) = entry.value { return inner }
    }
    return dictionary
  }

  private static func entries(
    of dictionary: PickledDictionary, in archive: ZipArchive, folder: String, _ path: String
  ) throws(FileError) -> [String: Entry] {
    var entries: [String: Entry] = [:]
    for entry in dictionary.entries {
      guard case .string(let name) = entry.key, case .tensor(let view) = entry.value,
        let element = Element(rawValue: view.storage.type)
      else { continue }
      guard let bytes = archive.entries[folder + "data/" + view.storage.key] else {
        throw FileError(path, "tensor '\(name)' lies in an entry \"\(view.storage.key)\" that is not there")
      }
      guard view.storage.count <= bytes.count / element.byteCount else {
        throw FileError(
          path, "tensor '\(name)' is of \(view.storage.count) numbers where \(bytes.count / element.byteCount) are")
      }
      try check(view, name, path)
      guard entries[name] == nil else { throw FileError(path, "has two tensors '\(name)'") }
      entries[name] = Entry(element: element, start: bytes.lowerBound, view: view)
    }
    return entries
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
    guard !overflow, isEmpty || last < view.storage.count && count <= view.storage.count else {
      throw FileError(
        path,
        "tensor '\(name)' of shape \(view.shape), strides \(view.strides) and offset \(view.offset) reaches outside its "
          + "\(view.storage.count) numbers")
    }
  }

  public func contains(_ name: String) -> Bool { entries[name] != nil }

  /// - Throws: `FileError` where the file has no tensor of that name.
  public func tensor(_ name: String) throws(FileError) -> Tensor {
    guard let entry = entries[name] else {
      let hint = nearest(to: name, among: names).map { " (is it '\($0)'?)" } ?? ""
      throw FileError(path, "has no tensor '\(name)'\(hint)")
    }
    let whole = read(entry)
    return entry.view.isDense ? whole : Self.gathered(whole, entry.view)
  }

  /// The numbers from the view's first one on, in the view's shape where it has no gaps.
  private func read(_ entry: Entry) -> Tensor {
    let (view, width) = (entry.view, entry.element.byteCount)
    let shape = view.isDense ? view.shape : [view.storage.count - view.offset]
    let source = UnsafeRawBufferPointer(
      rebasing: mapping.bytes[(entry.start + view.offset * width)...].prefix(shape.reduce(1, *) * width))
    return Tensor.make(shape) { out in
      guard let target = out.baseAddress, !out.isEmpty else { return }
      switch entry.element {
      case .float: UnsafeMutableRawBufferPointer(out).copyMemory(from: source)
      case .double:
        for index in out.indices {
          out[index] = Float(source.loadUnaligned(fromByteOffset: index * 8, as: Double.self))
        }
      // Offsets in a file need not be aligned, so halves are copied out before they are widened.
      case .half, .bfloat:
        let halves = [UInt16](unsafeUninitializedCapacity: out.count) { buffer, count in
          UnsafeMutableRawBufferPointer(buffer).copyMemory(from: source)
          count = out.count
        }
        if entry.element == .half {
          lethe_from_half(halves, target, out.count)
        } else {
          lethe_from_bfloat(halves, target, out.count)
        }
      }
    }
  }

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

extension PickledTensor {
  /// Whether the numbers lie one after the other, the last axis fastest.
  fileprivate var isDense: Bool {
    var step = 1
    for (extent, stride) in zip(shape, strides).reversed() where extent != 1 {
      if stride != step { return false }
      step *= extent
    }
    return true
  }
}
