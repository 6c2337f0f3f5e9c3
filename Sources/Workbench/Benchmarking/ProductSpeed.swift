internal import Tensors

/// The most that matrix products reach on this machine: what the speed of a network is measured against.
enum ProductSpeed {
  /// Floating point operations in a second of products of square matrices 2,048 wide, one on each thread at once; the
  /// best of some repeats.
  static func operationsPerSecond(size: Int = 2048, repeats: Int = 5) -> Double {
    let stream = RandomStream(seed: 0, "benchmark", "products")
    let (left, right) = (stream.item(0).normal([size, size]), stream.item(1).normal([size, size]))
    let threads = Parallel.threadCount
    let seconds = (0..<max(1, repeats) + 1).map { _ in
      ContinuousClock().measure { parallelFor(threads) { _ in _ = left.matmul(right) } }.inSeconds
    }
    return Double(threads * 2 * size * size * size) / (seconds.min() ?? .infinity)
  }
}
