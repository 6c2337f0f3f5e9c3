internal import Configuration
public import Tensors

/// The distance of images by the maps of a network (LPIPS; Zhang et al. 2018, arXiv 1801.03924, equation 1): at each
/// place of each map the features of both images are scaled to length one, and the squares of their differences are
/// weighed by channel, summed, and averaged over the places. 0 is identity.
public struct PerceptualDistance: Sendable {
  /// For each map the weight of each of its channels; nil weighs all by one, the paper's baseline.
  public let weights: [[Double]]?

  public init(weights: [[Double]]? = nil) { self.weights = weights }

  /// Learned weights from a folder's `model.safetensors`, named as the package lpips names them: `lin0.model.1.weight`
  /// of shape (1, channels, 1, 1) for the first map, and so on.
  ///
  /// - Parameter channels: of each map
  /// - Throws: `SafetensorsError` for a file that cannot be read, ``MetricError`` for weights of other maps.
  public init(folder: String, channels: [Int]) throws {
    let path = folder + "/model.safetensors"
    let file = try SafetensorsFile(path)
    weights = try channels.enumerated().map { index, count in
      let name = "lin\(index).model.1.weight"
      guard file.contains(name) else {
        throw MetricError("lpips: \(path) has no weight \"\(name)\"" + suggestion(for: name, among: file.names))
      }
      let shape = try file.shape(of: name)
      guard shape == [1, count, 1, 1] else {
        throw MetricError(
          "lpips: \(path): \(name) has the shape \(shape), and the judge's map needs \([1, count, 1, 1])")
      }
      return try file.tensor(name).values.map(Double.init)
    }
  }

  /// The distance of each pair of images.
  ///
  /// - Parameters:
  ///   - first: the maps of the first images, each (images, channels, height, width)
  ///   - second: those of the second ones, of the same shapes
  public func callAsFunction(_ first: [Tensor], _ second: [Tensor]) -> [Double] {
    precondition(first.map(\.shape) == second.map(\.shape), "maps of different shapes")
    var distances = [Double](repeating: 0, count: first.first?.shape[0] ?? 0)
    for (index, (a, b)) in zip(first, second).enumerated() {
      let channels = a.shape[1]
      let places = a.shape[2] * a.shape[3]
      let weights = weights?[index] ?? [Double](repeating: 1, count: channels)
      a.withUnsafeValues { a in
        b.withUnsafeValues { b in
          for image in distances.indices {
            var sum = 0.0
            for place in 0..<places {
              let start = image * channels * places + place
              let (scaleA, scaleB) = (
                Self.scale(a, start, channels, places), Self.scale(b, start, channels, places)
              )
              for channel in 0..<channels {
                let at = start + channel * places
                let difference = Double(a[at]) * scaleA - Double(b[at]) * scaleB
                sum += weights[channel] * difference * difference
              }
            }
            distances[image] += sum / Double(places)
          }
        }
      }
    }
    return distances
  }

  /// One over the length of the features at a place; where nothing is seen at all they stay zero.
  private static func scale(
    _ values: UnsafeBufferPointer<Float>, _ start: Int, _ channels: Int, _ places: Int
  ) -> Double {
    var squares = 0.0
    for channel in 0..<channels {
      let value = Double(values[start + channel * places])
      squares += value * value
    }
    return 1 / (squares.squareRoot() + 1e-10)
  }
}
