internal import CKernels
internal import Synchronization

/// How work is split over the cores of the machine.
///
/// Work is cut into items by the caller, and the cut never depends on the number of threads: an item computes the
/// same bytes whichever thread takes it. Inside an item everything runs on its own thread, so that the outermost
/// loop is the parallel one.
public enum Parallel {
  private static let limit = Atomic<Int>(0)

  /// The number of threads in use; by default one for each core that the process may run on. It can change no result.
  public static var threadCount: Int {
    get {
      let value = limit.load(ordering: .relaxed)
      return value > 0 ? value : availableCores
    }
    set { limit.store(max(newValue, 0), ordering: .relaxed) }
  }

  private static let availableCores = Int(lethe_available_cores())

  @TaskLocal static var isInsideItem = false

  /// Runs `body` with all its loops on the caller's thread.
  public static func onOneThread<Result>(_ body: () throws -> Result) rethrows -> Result {
    try $isInsideItem.withValue(true, operation: body)
  }
}

/// The number of the next item of a loop.
private final class LoopCounter: Sendable { let value = Atomic<Int>(0) }

/// A reference that crosses to the worker threads of one loop and no further.
private struct Unchecked<Value>: @unchecked Sendable { let value: Value }

/// Runs `body` for 0 ..< count, on several threads where there are several items and the caller is not itself an item
/// of such a loop. `body` may write only what belongs to its item.
public func parallelFor(_ count: Int, _ body: (Int) -> Void) {
  let threads = min(Parallel.threadCount, count)
  if threads <= 1 || Parallel.isInsideItem {
    for index in 0..<count { body(index) }
    return
  }
  let next = LoopCounter()
  withoutActuallyEscaping(body) { body in
    let shared = Unchecked(value: body)
    WorkerPool.shared.run(helpers: threads - 1) {
      Parallel.onOneThread {
        while true {
          let index = next.value.wrappingAdd(1, ordering: .relaxed).oldValue
          if index >= count { return }
          shared.value(index)
        }
      }
    }
  }
}

/// Like ``parallelFor(_:_:)`` for bodies that throw: every item runs, and the error of the lowest item is thrown.
public func parallelMap<Result>(_ count: Int, _ body: (Int) throws -> Result) throws -> [Result] {
  var results = [Swift.Result<Result, any Error>?](repeating: nil, count: count)
  results.withUnsafeMutableBufferPointer { slots in
    nonisolated(unsafe) let slots = slots
    parallelFor(count) { index in slots[index] = Swift.Result { try body(index) } }
  }
  return try results.map { try $0!.get() }
}

/// Values that one thread takes at a time: some microseconds of work, against less than one for sharing it out.
private let valuesPerPiece = 1 << 13

/// Splits 0 ..< count, where each number stands for `width` values, into pieces that repay a thread's work, and runs
/// them in parallel.
func parallelPieces(_ count: Int, of width: Int = 1, _ body: (Range<Int>) -> Void) {
  parallelPieces(count, size: max(1, valuesPerPiece / max(width, 1)), body)
}

/// Splits the columns of a matrix of so many rows into strips and runs them in parallel. A strip has whole cache lines
/// of a row, so that no two threads write to one.
func parallelColumns(_ columns: Int, ofRows rows: Int, _ body: (Range<Int>) -> Void) {
  let line = 16
  parallelPieces((columns + line - 1) / line, of: line * rows) { piece in
    body(line * piece.lowerBound..<min(line * piece.upperBound, columns))
  }
}

/// Copies values that do not overlap.
func parallelCopy(_ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, count: Int) {
  parallelPieces(count) { piece in
    (target + piece.lowerBound).update(from: source + piece.lowerBound, count: piece.count)
  }
}

/// Splits 0 ..< count into pieces of `size` and runs them in parallel.
func parallelPieces(_ count: Int, size: Int, _ body: (Range<Int>) -> Void) {
  let pieces = (count + size - 1) / size
  if pieces <= 1 {
    if count > 0 { body(0..<count) }
    return
  }
  parallelFor(pieces) { piece in body(piece * size..<min(count, (piece + 1) * size)) }
}
