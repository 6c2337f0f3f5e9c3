#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Large blocks of memory, used again and again.
///
/// A pass through a network asks for the same few sizes over and over. To get pages from the system each time would
/// take longer than to fill them, and on the heap what lives long, gradients, would lie between what does not and leave
/// holes. Blocks that are given back are kept as long as all together are not much more than was once in use; the one
/// that was given back first goes first.
enum BlockPool {
  /// Smaller blocks are each thread's own; see `blocks.c`.
  static let smallest = 1 << 18
  /// Bytes by which all blocks may exceed what was once in use.
  private static let slack = 16 << 20
  private static let hugePage = 2 << 20

  private struct Kept {
    let pointer: UnsafeMutableRawPointer
    let size: Int
  }

  nonisolated(unsafe) private static var kept: [Kept] = []
  nonisolated(unsafe) private static var keptBytes = 0
  nonisolated(unsafe) private static var usedBytes = 0
  nonisolated(unsafe) private static var mostUsed = 0
  private static let lock = Lock()

  /// A block of at least so many bytes, whatever they hold; nil where there is no memory.
  static func take(_ bytes: Int) -> UnsafeMutableRawPointer? {
    let size = wholeSize(bytes)
    let (known, released) = lock { (taken(size), excess()) }
    for block in released { munmap(block.pointer, block.size) }
    if let known { return known }
    #if canImport(Glibc)
      let flags = MAP_PRIVATE | MAP_ANONYMOUS
    #else
      let flags = MAP_PRIVATE | MAP_ANON
    #endif
    guard let block = mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0), block != MAP_FAILED else { return nil }
    #if canImport(Glibc)
      // To fault in and clear pages of 4 kB one by one took a sixth of a pass of Stable Diffusion's UNet. What is not
      // asked for of the last page stays without memory.
      madvise(block, bytes / hugePage * hugePage, MADV_HUGEPAGE)
    #endif
    return block
  }

  /// Gives back a block of so many bytes.
  static func give(_ block: UnsafeMutableRawPointer, _ bytes: Int) {
    let size = wholeSize(bytes)
    let released = lock {
      kept.append(Kept(pointer: block, size: size))
      keptBytes += size
      usedBytes -= size
      return excess()
    }
    for block in released { munmap(block.pointer, block.size) }
  }

  /// A kept block of this size, the one that was given back last: it is the likeliest to be in a cache.
  private static func taken(_ size: Int) -> UnsafeMutableRawPointer? {
    usedBytes += size
    mostUsed = max(mostUsed, usedBytes)
    guard let index = kept.lastIndex(where: { $0.size == size }) else { return nil }
    keptBytes -= size
    return kept.remove(at: index).pointer
  }

  /// Takes the oldest of the kept blocks out where there are too many.
  private static func excess() -> ArraySlice<Kept> {
    var count = 0
    while keptBytes + usedBytes > mostUsed + slack, count < kept.count {
      keptBytes -= kept[count].size
      count += 1
    }
    defer { kept.removeFirst(count) }
    return kept.prefix(count)
  }

  /// Sizes a 32nd apart, so that a block serves what is nearly as large; what is not used of it takes no memory.
  private static func wholeSize(_ bytes: Int) -> Int {
    let step = max(1 << 16, (1 << (Int.bitWidth - 1 - bytes.leadingZeroBitCount)) / 32)
    return (bytes + step - 1) / step * step
  }
}
