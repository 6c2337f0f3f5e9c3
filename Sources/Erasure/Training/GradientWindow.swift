internal import Diffusion
internal import Tensors

extension DiffusionModel {
  /// How many gradients of the UNet are held at a time where each sample has one: one a thread, or fewer where they
  /// would take more than 8 GB.
  var gradientsAtATime: Int {
    let bytes = max(1, unetWeights.parameterCount * MemoryLayout<Float>.size)
    return max(1, min(Parallel.threadCount, (8 << 30) / bytes))
  }
}
