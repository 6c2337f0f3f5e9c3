internal import CKernels
internal import Configuration

#if canImport(Glibc)
  internal import Glibc
#endif

/// A file's bytes, mapped read-only for as long as this object lives. A file that is cut short meanwhile ends the
/// program with a sentence that names it, where its bytes are read.
final class FileMapping {
  let path: String
  let bytes: UnsafeRawBufferPointer
  private let stamp: FileStamp
  var count: Int { bytes.count }

  /// - Throws: `FileError` for a file that is not there, is none, is empty, cannot be mapped, or is what stands in the
  ///   place of one: an HTML page, a pointer.
  init(_ path: String) throws(FileError) {
    // Without waiting: what is no file, a pipe for example, is refused and not read.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw FileError(path, "cannot be opened: \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw FileError(path, "is not a file")
    }
    self.path = path
    stamp = FileStamp(status)
    let size = Int(status.st_size)
    guard size > 0 else { throw FileError(path, "is empty") }
    guard let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
      throw FileError(path, "cannot be mapped into memory: \(String(cString: strerror(errno)))")
    }
    bytes = UnsafeRawBufferPointer(start: address, count: size)
    lethe_watch_mapping(address, size, "lethe: error: \(path): was cut short while it was being read\n")
    guard !bytes.starts(with: Array("version https://git-lfs".utf8)) else {
      throw FileError(path, "is only the pointer that git-lfs leaves in a file's place; `git lfs pull` brings the file")
    }
    guard !startsLikePage else {
      throw FileError(
        path, "starts like an HTML page, as sites send in a file's place where they ask for a login or have no file")
    }
  }

  private var startsLikePage: Bool {
    let start = String(decoding: bytes.prefix(64), as: UTF8.self).lowercased()
      .drop { $0.isWhitespace || $0 == "\u{feff}" }
    return start.hasPrefix("<!doctype html") || start.hasPrefix("<html")
  }

  deinit {
    lethe_forget_mapping(bytes.baseAddress)
    munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
  }

  /// - Throws: `FileError` where the path no longer leads to the file that was opened, or it was written to since.
  func confirmUnchanged() throws(FileError) {
    guard FileStamp(path) == stamp else { throw FileError(path, "changed while it was being read") }
  }

  /// A little-endian number at an offset, which must lie within the file.
  func integer<Number: FixedWidthInteger>(_ offset: Int, as type: Number.Type) -> Number {
    Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
  }

  /// The numbers from an offset on, which must lie within the file, as float32.
  ///
  /// - Parameter isShown: whether numbers that are float32 in the file, at a multiple of four bytes, stay where they
  ///   are: the tensor then shows the file's own memory, and what the file will be changed to
  func tensor(_ element: TensorElement, at offset: Int, shape: [Int], isShown: Bool) -> Tensor {
    let count = shape.reduce(1, *)
    if isShown, element == .float32, count > 0, offset % MemoryLayout<Float>.alignment == 0 {
      return Tensor(shape: shape, storage: Storage(showing: self, at: offset, count: count))
    }
    return Tensor.make(shape) { out in
      guard let target = out.baseAddress, !out.isEmpty else { return }
      let source = bytes.baseAddress! + offset
      switch element {
      case .float32: memcpy(target, source, out.count * 4)
      case .float64:
        for index in out.indices {
          out[index] = Float(source.loadUnaligned(fromByteOffset: index * 8, as: Double.self))
        }
      // Offsets in a file need not be aligned, so halves are copied out before they are widened.
      case .float16, .bfloat16:
        let halves = [UInt16](unsafeUninitializedCapacity: out.count) { buffer, count in
          memcpy(buffer.baseAddress!, source, out.count * 2)
          count = out.count
        }
        if element == .float16 {
          lethe_from_half(halves, target, out.count)
        } else {
          lethe_from_bfloat(halves, target, out.count)
        }
      }
    }
  }
}

/// How a file keeps a tensor's values, by the names of safetensors. All are read as float32: the first as it is, halves
/// widened, float64 rounded.
public enum TensorElement: String, Sendable, CaseIterable {
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case float64 = "F64"

  /// Bytes of one value.
  public var byteCount: Int {
    switch self {
    case .float16, .bfloat16: 2
    case .float32: 4
    case .float64: 8
    }
  }
}
