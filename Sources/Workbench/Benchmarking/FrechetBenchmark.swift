public import Configuration
internal import Metrics
internal import Tensors

/// The Fréchet distance of two sets of wide features, timed: what FID of Inception's features costs beside drawing and
/// judging. `benchmarks/metric_peers.py` times the same in numpy and scipy.
public struct FrechetBenchmark {
  public var vectors: Int
  public var width: Int
  public var repeats: Int

  public init(vectors: Int = 10_000, width: Int = 2048, repeats: Int = 1) {
    self.vectors = vectors
    self.width = width
    self.repeats = repeats
  }

  /// - Returns: the median seconds, the distance and what was asked.
  public func run() throws -> JSON {
    let stream = RandomStream(seed: 0, "benchmark", "features")
    let mixing = stream.substream("mixing").normal([width, width]) / Float(width).squareRoot()
    let sets = (0..<2).map { index in
      let normal = stream.item(index).normal([vectors, width])
      return (normal.matmul(mixing) + Tensor.full(0.1 * Float(index), [1, width])).relu()
    }
    var (seconds, distance) = ([Double](), 0.0)
    for _ in 0..<max(1, repeats) {
      let took = try ContinuousClock().measure {
        distance = try FeatureStatistics(sets[0]).frechetDistance(to: FeatureStatistics(sets[1]))
      }
      seconds.append(took.inSeconds)
    }
    return [
      "seconds_per_fid": .number(seconds.median), "fid": .number(distance),
      "vectors": .integer(vectors), "width": .integer(width), "threads": .integer(Parallel.threadCount),
    ]
  }
}
