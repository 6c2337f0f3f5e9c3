import Synchronization

/// A number that several threads may add to.
final class Counter: Sendable {
  private let number = Mutex(0)
  var value: Int { number.withLock { $0 } }
  func add(_ amount: Int) { number.withLock { $0 += amount } }
}

/// Sentences that several threads may append to.
final class Sentences: Sendable {
  private let sentences = Mutex<[String]>([])
  var all: [String] { sentences.withLock { $0 } }
  func append(_ sentence: String) { sentences.withLock { $0.append(sentence) } }
}
