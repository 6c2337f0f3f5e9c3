internal import Diffusion
internal import Tensors

extension DiffusionModel {
  /// How many gradients of the UNet are held at a time where each sample has one: one a thread, or fewer where they
  /// would take more than 8 GB or ``MemoryLimits`` allow fewer. Who sums them does so in the order of the samples.
  var gradientsAtATime: Int {
    let bytes = max(1, unetWeights.parameterCount * MemoryLayout<Float>.size)
    return max(1, min(Parallel.threadCount, MemoryLimits.gradients, (8 << 30) / bytes))
  }
}
