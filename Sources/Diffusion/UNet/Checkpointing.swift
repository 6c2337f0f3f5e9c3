internal import Synchronization
internal import Tensors

/// Which blocks of a UNet are computed a second time on the way back, so that what lies between their input and their
/// output is in memory for one block at a time. It changes time and memory, and no byte of a result.
public enum Checkpointing: Int, Sendable, CaseIterable {
  /// Those on large maps of the way down and of the middle, whose way back comes last, when the gradients of nearly all
  /// weights are there; what the way up keeps makes room for these.
  case wayDown
  case always
  case never

  /// Maps of at least so many values are large.
  public static let largeMap = 80_000

  private static let chosen = Atomic<Int>(Checkpointing.wayDown.rawValue)

  /// What holds in this process.
  public static var current: Checkpointing {
    get { Checkpointing(rawValue: chosen.load(ordering: .relaxed)) ?? .wayDown }
    set { chosen.store(newValue.rawValue, ordering: .relaxed) }
  }

  /// Whether a block whose input has so many values is a checkpoint.
  public func takes(_ count: Int, onWayUp: Bool) -> Bool {
    switch self {
    case .wayDown: !onWayUp && count >= Checkpointing.largeMap
    case .always: true
    case .never: false
    }
  }
}

extension Tensor {
  /// What `body` makes of this map. Where gradients are wanted and ``Checkpointing`` says so, the block is a
  /// checkpoint.
  ///
  /// - Parameters:
  ///   - weight: one of the block's, by which a tape is known where this map is not watched
  ///   - hooks: see every activation once, so that there is no checkpoint with them
  func checkpointed(
    with weight: Tensor, hooks: UNetHooks?, onWayUp: Bool, _ body: @escaping () -> Tensor
  ) -> Tensor {
    guard hooks == nil, Checkpointing.current.takes(count, onWayUp: onWayUp),
      let tape = Tape.watching(self, weight)
    else { return body() }
    return tape.checkpoint(body)
  }
}
