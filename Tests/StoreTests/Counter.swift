import Synchronization

/// A number that several threads may add to.
final class Counter: Sendable {
  private let number = Mutex(0)
  var value: Int { number.withLock { $0 } }
  func add(_ amount: Int) { number.withLock { $0 += amount } }
}
