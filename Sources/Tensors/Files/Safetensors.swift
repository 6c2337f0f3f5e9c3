internal import Configuration

/// A safetensors file that cannot be read, in one sentence that names the file.
public struct SafetensorsError: Error, CustomStringConvertible, Equatable {
  public let description: String
  init(_ path: String, _ problem: String) { description = "\(path): \(problem)" }
}

/// A safetensors file, mapped into memory: tensors are read when they are asked for.
///
/// The layout is eight bytes of header length (little-endian), a JSON header that maps each name to dtype, shape and
/// byte range, and the bytes. F32, F16, BF16 and F64 are read as float32 (``TensorElement``). Tensors of integers (the
/// row numbers that old text encoders keep) are passed over (``unread``). The whole header is checked when the file is
/// opened.
public final class SafetensorsFile {
  private static let integerByteCounts = [
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
  ]

  private struct Entry {
    let element: TensorElement
    let shape: [Int]
    let offset: Int
  }

  public let path: String
  /// The names of all tensors, sorted.
  public let names: [String]
  /// The tensors that are passed over, by name.
  public let unread: [String: UnreadTensor]
  /// The free text that the writer left beside the tensors.
  public let metadata: [String: String]
  private let entries: [String: Entry]
  private let mapping: FileMapping
  private let dataStart: Int

  /// - Throws: ``SafetensorsError`` where the file is missing, truncated or does not hold what its header promises.
  public init(_ path: String) throws {
    let mapping: FileMapping
    do throws(FileError) {
      mapping = try FileMapping(path)
    } catch {
      throw SafetensorsError(path, error.message)
    }
    self.path = path
    self.mapping = mapping
    guard mapping.count >= 8 else {
      throw SafetensorsError(
        path, "not a safetensors file: it has \(ByteCount(mapping.count)), and its header length takes 8")
    }
    let headerLength = mapping.bytes.loadUnaligned(as: UInt64.self).littleEndian
    guard headerLength <= UInt64(mapping.count - 8) else {
      throw SafetensorsError(
        path,
        "truncated or not a safetensors file: its header of \(ByteCount.exact(headerLength)) ends past the file's "
          + "\(mapping.count)")
    }
    dataStart = 8 + Int(headerLength)
    let header = try SafetensorsFile.parseHeader(mapping.bytes[8..<dataStart], path)
    (entries, unread, metadata) = try SafetensorsFile.readEntries(header, dataCount: mapping.count - dataStart, path)
    names = entries.keys.sorted()
  }

  public func contains(_ name: String) -> Bool { entries[name] != nil }

  /// - Throws: ``SafetensorsError`` where the file has no tensor of that name.
  public func shape(of name: String) throws -> [Int] { try entry(name).shape }

  /// How the file keeps a tensor's values.
  public func element(of name: String) throws -> TensorElement { try entry(name).element }

  /// - Throws: ``SafetensorsError`` where the file has no tensor of that name.
  public func tensor(_ name: String) throws -> Tensor { try tensor(name, isShown: false) }

  /// - Parameter isShown: whether the tensor may show the file's own memory; see ``FileMapping``
  func tensor(_ name: String, isShown: Bool) throws -> Tensor {
    let entry = try entry(name)
    return mapping.tensor(entry.element, at: dataStart + entry.offset, shape: entry.shape, isShown: isShown)
  }

  /// - Throws: ``SafetensorsError`` where the file is not the one that was opened any more, or was written to since.
  func confirmUnchanged() throws {
    do {
      try mapping.confirmUnchanged()
    } catch {
      throw SafetensorsError(path, error.message)
    }
  }

  private func entry(_ name: String) throws -> Entry {
    if let entry = entries[name] { return entry }
    if let tensor = unread[name] { throw SafetensorsError(path, "tensor '\(name)' \(tensor.problem)") }
    let hint = nearest(to: name, among: names).map { " (is it '\($0)'?)" } ?? ""
    throw SafetensorsError(path, "has no tensor '\(name)'\(hint)")
  }

  private static func parseHeader(_ bytes: Slice<UnsafeRawBufferPointer>, _ path: String) throws -> [String: JSON] {
    let header: JSON
    do {
      header = try JSON.parse(bytes, file: path)
    } catch {
      throw SafetensorsError(path, "the header is not JSON: \(error)")
    }
    guard let object = header.object else {
      throw SafetensorsError(path, "the header is \(header.kind), not an object")
    }
    return object
  }

  private static func readEntries(
    _ header: [String: JSON], dataCount: Int, _ path: String
  ) throws -> ([String: Entry], [String: UnreadTensor], [String: String]) {
    var entries: [String: Entry] = [:]
    var unread: [String: UnreadTensor] = [:]
    var metadata: [String: String] = [:]
    var ranges: [(range: Range<Int>, name: String)] = []
    for (name, value) in header.sorted(by: { $0.key < $1.key }) {
      if name == "__metadata__" {
        metadata = value.object?.compactMapValues(\.string) ?? [:]
        continue
      }
      guard let type = value["dtype"]?.string, let shape = value["shape"]?.array?.map(\.integer),
        let offsets = value["data_offsets"]?.array?.map(\.integer), offsets.count == 2,
        let first = offsets[0], let last = offsets[1], shape.allSatisfy({ ($0 ?? -1) >= 0 })
      else { throw SafetensorsError(path, "tensor '\(name)' lacks a dtype, a shape or two data_offsets") }
      let element = TensorElement(rawValue: type)
      guard let elementByteCount = element?.byteCount ?? integerByteCounts[type] else {
        throw SafetensorsError(path, "tensor '\(name)' has the dtype \(type); \(TensorElement.listed) are read")
      }
      guard first >= 0, first <= last, last <= dataCount else {
        throw SafetensorsError(
          path,
          "tensor '\(name)' has bytes \(first) to \(last) of \(dataCount): the file is truncated or its offsets are "
            + "wrong")
      }
      let extents = shape.map { $0! }
      guard byteCount(extents, elementByteCount) == last - first else {
        throw SafetensorsError(
          path, "tensor '\(name)' of shape \(extents) in \(type) does not fill its \(ByteCount(last - first).exact)")
      }
      if let element {
        entries[name] = Entry(element: element, shape: extents, offset: first)
      } else {
        unread[name] = UnreadTensor(name: name, dataType: type, shape: extents, path: path)
      }
      if first < last { ranges.append((first..<last, name)) }
    }
    ranges.sort { $0.range.lowerBound < $1.range.lowerBound }
    for (a, b) in zip(ranges, ranges.dropFirst()) where a.range.upperBound > b.range.lowerBound {
      throw SafetensorsError(path, "the bytes of tensors '\(a.name)' and '\(b.name)' overlap")
    }
    return (entries, unread, metadata)
  }

  /// The bytes that a tensor takes, or nil where their number does not fit.
  private static func byteCount(_ shape: [Int], _ elementByteCount: Int) -> Int? {
    var count = elementByteCount
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      if overflow { return nil }
      count = product
    }
    return count
  }
}
