public import Tensors

extension RGBImage {
  /// The picture as (3, height, width) in [-1, 1]: what the autoencoder and the vision tower read.
  public var tensor: Tensor { RGBImage.batch([self]).reshaped([3, height, width]) }

  /// Pictures of one size as (N, 3, height, width) in [-1, 1].
  public static func batch(_ pictures: [RGBImage]) -> Tensor {
    let width = pictures.first?.width ?? 0
    let height = pictures.first?.height ?? 0
    precondition(
      pictures.allSatisfy { $0.width == width && $0.height == height }, "the pictures of a batch are of one size")
    let area = width * height
    return Tensor.make([pictures.count, 3, height, width]) { out in
      for (number, picture) in pictures.enumerated() {
        picture.pixels.withUnsafeBufferPointer { pixels in
          for channel in 0..<3 {
            let start = (3 * number + channel) * area
            for at in 0..<area { out[start + at] = Float(pixels[3 * at + channel]) / 127.5 - 1 }
          }
        }
      }
    }
  }

  /// The picture of a (3, height, width) tensor: [-1, 1] to 0...255, rounded to the nearest (halves to even, as
  /// diffusers does), values outside clamped.
  public init(_ tensor: Tensor) {
    precondition(tensor.shape.count == 3 && tensor.shape[0] == 3, "an RGB picture is made from a (3, H, W) tensor")
    let area = tensor.shape[1] * tensor.shape[2]
    var pixels = [UInt8](repeating: 0, count: 3 * area)
    tensor.withUnsafeValues { values in
      for channel in 0..<3 {
        for at in 0..<area {
          // As diffusers: to [0, 1] first, then to bytes. A value that is not a number becomes 0.
          let unit = values[channel * area + at] / 2 + 0.5
          let clamped = unit > 0 ? min(unit, 1) : 0
          pixels[3 * at + channel] = UInt8((clamped * 255).rounded(.toNearestOrEven))
        }
      }
    }
    self.init(width: tensor.shape[2], height: tensor.shape[1], pixels: pixels)
  }
}
