internal import Synchronization

/// How much of one kind is in memory at a time in this process. They change time and memory, and no byte of a result.
public enum MemoryLimits {
  private static let imageLimit = Atomic<Int>(.max)
  private static let gradientLimit = Atomic<Int>(.max)

  /// The images that a ``Sampler`` draws at a time, at most; at least 1.
  public static var images: Int {
    get { imageLimit.load(ordering: .relaxed) }
    set { imageLimit.store(max(1, newValue), ordering: .relaxed) }
  }

  /// The samples of which gradients of the UNet are held at a time where each has one of its own; at least 1.
  public static var gradients: Int {
    get { gradientLimit.load(ordering: .relaxed) }
    set { gradientLimit.store(max(1, newValue), ordering: .relaxed) }
  }
}
