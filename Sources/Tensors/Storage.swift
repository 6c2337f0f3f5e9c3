internal import CKernels

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The memory of a tensor: float32 values, or large weights in half precision; freed with the last tensor that shows
/// them.
///
/// The values lie on a cache line boundary, but for those that a file shows: these can be read only, from memory that
/// is the file's, and lie at any multiple of four bytes.
final class Storage {
  private let floats: UnsafeMutablePointer<Float>?
  /// The bits of float16 values; nil for values in float32.
  let halves: UnsafeMutablePointer<UInt16>?
  let count: Int
  /// The file whose memory this is; nil for memory of its own.
  private let file: FileMapping?

  /// The values in float32. Of those in half precision there are none: whoever computes with them takes
  /// ``Tensor/widened``.
  var pointer: UnsafeMutablePointer<Float> {
    guard let floats else { preconditionFailure("an operator on a weight in half precision") }
    return floats
  }

  /// Whether the values may be changed in place.
  var isWritable: Bool { file == nil && halves == nil }

  private static let allocator: Void = lethe_keep_freed_memory()

  /// Room for `count` values, not yet set. Where there is none, the program ends.
  convenience init(count: Int) { self.init(shape: [count]) }

  /// Room for the values of a shape, not yet set. Where there is none, the program ends.
  init(shape: [Int]) {
    guard let bytes = Storage.byteCount(shape), let raw = Storage.memory(bytes) else {
      Storage.endWithoutMemory(shape)
    }
    count = bytes / MemoryLayout<Float>.stride
    floats = raw.bindMemory(to: Float.self, capacity: max(count, 1))
    halves = nil
    file = nil
  }

  /// Values rounded to the nearest float16, of two equally near ones to the even one.
  init(halving values: Storage) {
    count = values.count
    guard let raw = Storage.memory(count * MemoryLayout<UInt16>.stride) else { Storage.endWithoutMemory([count]) }
    let halves = raw.bindMemory(to: UInt16.self, capacity: max(count, 1))
    parallelPieces(count) { piece in
      lethe_to_half(values.pointer + piece.lowerBound, halves + piece.lowerBound, piece.count)
    }
    self.halves = halves
    floats = nil
    file = nil
  }

  /// The values of float16 bits in float32.
  init(widening halves: UnsafePointer<UInt16>, count: Int) {
    guard let raw = Storage.memory(count * MemoryLayout<Float>.stride) else { Storage.endWithoutMemory([count]) }
    let floats = raw.bindMemory(to: Float.self, capacity: max(count, 1))
    parallelPieces(count) { piece in
      lethe_from_half(halves + piece.lowerBound, floats + piece.lowerBound, piece.count)
    }
    self.count = count
    self.floats = floats
    self.halves = nil
    file = nil
  }

  /// Of the values as they are kept.
  var byteCount: Int { count * (halves == nil ? MemoryLayout<Float>.stride : MemoryLayout<UInt16>.stride) }

  /// Values as a file has them, which lie within it at a multiple of four bytes.
  init(showing file: FileMapping, at offset: Int, count: Int) {
    precondition(offset % MemoryLayout<Float>.alignment == 0 && offset + count * 4 <= file.count)
    self.file = file
    self.count = count
    let source = UnsafeMutableRawPointer(mutating: file.bytes.baseAddress! + offset)
    floats = source.bindMemory(to: Float.self, capacity: count)
    halves = nil
  }

  private static func memory(_ bytes: Int) -> UnsafeMutableRawPointer? {
    _ = allocator
    return bytes >= BlockPool.smallest ? BlockPool.take(bytes) : lethe_take_block(bytes)
  }

  /// Nil where the number is larger than any memory.
  private static func byteCount(_ shape: [Int]) -> Int? {
    var bytes = MemoryLayout<Float>.stride
    for extent in shape {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
      if overflow { return nil }
      bytes = product
    }
    return bytes
  }

  /// What was asked for is too large for this machine, which is no fault of the program: one sentence and status 1
  /// rather than a trap and its stack. Operators do not throw, so it cannot be handed up.
  private static func endWithoutMemory(_ shape: [Int]) -> Never {
    let sentence = "lethe: error: there is not enough memory for a tensor of the shape \(shape)\n"
    _ = Array(sentence.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    // Other threads are in the middle of their work: what they use is not torn down under them.
    fflush(nil)
    _exit(1)
  }

  /// Forms of a weight's values that products would otherwise make anew at every call.
  enum Form: Hashable {
    /// The transpose, packed into panels.
    case packedTranspose
    /// The points of 3 x 3 filters.
    case filterPoints(inputs: Int, outputs: Int)
    case turnedFilterPoints(inputs: Int, outputs: Int)
    /// The same packed into panels of outputs, for small maps.
    case panelsOfFilterPoints(tile: Int, inputs: Int, outputs: Int, isTransposed: Bool)
  }

  /// Larger weights are brought into form at each call: to keep them would cost as much memory again, and they are used
  /// on so much at a time that it takes no time to speak of.
  static let largestKept = 1 << 19

  private var forms: [Form: Storage] = [:]
  private static let lock = Lock()

  /// These values in another form, which `make` gives them the first time. Whoever changes the values afterwards says
  /// so with ``valuesChanged()``.
  func kept(_ form: Form, _ make: () -> Storage) -> Storage {
    if let known = Storage.lock({ forms[form] }) { return known }
    let made = make()
    Storage.lock { forms[form] = made }
    return made
  }

  func valuesChanged() {
    Storage.lock { forms.removeAll() }
  }

  deinit {
    guard file == nil, let memory = floats.map(UnsafeMutableRawPointer.init) ?? halves.map(UnsafeMutableRawPointer.init)
    else { return }
    if byteCount >= BlockPool.smallest {
      BlockPool.give(memory, byteCount)
    } else {
      lethe_give_block(memory, byteCount)
    }
  }
}
