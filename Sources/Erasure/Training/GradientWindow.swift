internal import Diffusion
internal import Tensors

/// How many samples' gradients are held at a time where each sample has its own. Who sums them does so in the order of
/// the samples.
enum GradientWindow {
  /// As many as take 8 GB together, fewer where ``MemoryLimits`` say so, and one at least.
  static func samples(ofBytes bytes: Int) -> Int { max(1, min(MemoryLimits.gradients, (8 << 30) / max(1, bytes))) }
}

extension DiffusionModel {
  /// The same for gradients of all of the UNet's weights, and no more than one a thread.
  var gradientsAtATime: Int {
    min(
      Parallel.threadCount,
      GradientWindow.samples(ofBytes: unetWeights.parameterCount * MemoryLayout<Float>.size))
  }
}
