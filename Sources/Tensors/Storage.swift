internal import CKernels

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The memory of a tensor: float32 values on a cache line boundary, freed with the last tensor that shows them.
final class Storage {
  let pointer: UnsafeMutablePointer<Float>
  let count: Int

  private static let allocator: Void = lethe_keep_freed_memory()

  /// Room for `count` values, not yet set.
  init(count: Int) {
    _ = Storage.allocator
    var raw: UnsafeMutableRawPointer?
    let status = posix_memalign(&raw, 64, max(count, 1) * MemoryLayout<Float>.stride)
    guard status == 0, let raw else { fatalError("no memory for a tensor of \(count) values") }
    pointer = raw.bindMemory(to: Float.self, capacity: max(count, 1))
    self.count = count
  }

  deinit { free(pointer) }
}
