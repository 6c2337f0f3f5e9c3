internal import Tensors

extension Tensor {
  /// Maps of at least so many values are taken through a block twice on the way back, so that what lies between a
  /// block's input and its output is in memory for one block at a time; of smaller ones everything is kept.
  static let checkpointedSize = 300_000

  /// What `body` makes of this map. Where gradients are wanted and the map is large, the block is a checkpoint.
  ///
  /// - Parameters:
  ///   - weight: one of the block's, by which a tape is known where this map is not watched
  ///   - hooks: see every activation once, so that there is no checkpoint with them
  func checkpointed(with weight: Tensor, hooks: UNetHooks?, _ body: @escaping () -> Tensor) -> Tensor {
    guard hooks == nil, count >= Tensor.checkpointedSize, let tape = Tape.watching(self, weight) else { return body() }
    return tape.checkpoint(body)
  }
}
