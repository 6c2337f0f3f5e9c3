internal import Diffusion
public import Tensors

/// The augmentation of concept ablation's public script (Kumari et al., 2023; methods 1.4): a sample sees its image
/// mirrored, shrunk with padding around it, or enlarged and cropped, and a mask says where the latent is of image.
///
/// The script also puts words such as "very small" before the concept's prompt then; here prompts stay as they are.
public struct ImageAugmentation: Equatable, Sendable {
  /// Whether half of the samples are mirrored.
  public var mirrors: Bool
  /// Whether samples are shrunk (two of three, to a third of the side at least) or enlarged (by 1.2 to 1.4).
  public var scales: Bool

  public init(mirrors: Bool, scales: Bool) {
    self.mirrors = mirrors
    self.scales = scales
  }

  /// Whether it changes anything.
  public var isActive: Bool { mirrors || scales }

  /// How an image lies in the square that a sample sees.
  public struct Placement: Equatable, Sendable {
    /// The side of the whole image in pixels of the square.
    public var side: Int
    /// Where the image begins in the square; negative where its edge is cut off.
    public var top: Int
    public var left: Int
    public var isMirrored: Bool

    public init(side: Int, top: Int = 0, left: Int = 0, isMirrored: Bool = false) {
      self.side = side
      self.top = top
      self.left = left
      self.isMirrored = isMirrored
    }
  }

  /// A sample's placement.
  ///
  /// - Parameters:
  ///   - size: the side of the square in pixels
  ///   - reduction: pixels that one cell of the latent has on each side; two of them are always image
  ///   - stream: the random numbers of this sample's augmentation alone
  public func placement(size: Int, reduction: Int, _ stream: RandomStream) -> Placement {
    let isMirrored = mirrors && stream.substream("mirror").integer(below: 2) == 1
    guard scales else { return Placement(side: size, isMirrored: isMirrored) }
    let shrinks = stream.substream("shrink").uniform(1)[0] < 0.66
    let sides = shrinks ? max(size / 3, 2 * reduction)...size : size * 6 / 5...size * 7 / 5
    let side = sides.lowerBound + stream.substream("side").integer(below: sides.count)
    let room = abs(size - side) + 1
    let place = stream.substream("place")
    let sign = side > size ? -1 : 1
    return Placement(
      side: side, top: sign * place.substream("top").integer(below: room),
      left: sign * place.substream("left").integer(below: room), isMirrored: isMirrored)
  }
}

extension ImageAugmentation.Placement {
  /// The square of a sample: the image scaled by a triangle filter, which widens where it shrinks, and zero around it.
  ///
  /// - Parameter image: (1, channels, size, size)
  /// - Returns: of the same shape
  public func callAsFunction(_ image: Tensor) -> Tensor {
    let (channels, size) = (image.shape[1], image.shape[2])
    precondition(image.shape == [1, channels, size, size], "a square image, not \(image.shape)")
    let rows = taps(size, offset: top, isMirrored: false), columns = taps(size, offset: left, isMirrored: isMirrored)
    return Tensor.make(image.shape) { out in
      image.withUnsafeValues { values in
        var narrowed = [Float](repeating: 0, count: size * size)
        for start in stride(from: 0, to: channels * size * size, by: size * size) {
          for y in 0..<size {
            for (x, taps) in columns.enumerated() {
              narrowed[y * size + x] = taps.reduce(0) { $0 + $1.weight * values[start + y * size + $1.pixel] }
            }
          }
          for (y, taps) in rows.enumerated() {
            for x in 0..<size {
              out[start + y * size + x] = taps.reduce(0) { $0 + $1.weight * narrowed[$1.pixel * size + x] }
            }
          }
        }
      }
    }
  }

  /// For each pixel of an axis of the square the pixels of the image that it is made of; none for padding.
  private func taps(_ size: Int, offset: Int, isMirrored: Bool) -> [[(pixel: Int, weight: Float)]] {
    let ratio = Double(size) / Double(side)
    let reach = max(ratio, 1)
    return (0..<size).map { position in
      guard (0..<side).contains(position - offset) else { return [] }
      let center = (Double(position - offset) + 0.5) * ratio
      let near = max(0, Int((center - reach).rounded(.down)))...min(size - 1, Int((center + reach).rounded(.up)))
      let weights = near.map { max(0, 1 - abs(Double($0) + 0.5 - center) / reach) }
      let sum = weights.reduce(0, +)
      return zip(near, weights).filter { $1 > 0 }.map { pixel, weight in
        (pixel: isMirrored ? size - 1 - pixel : pixel, weight: Float(weight / sum))
      }
    }
  }

  /// The validity mask of the latent, (1, 1, size / reduction, size / reduction): 1 in the cells that lie wholly inside
  /// the image, 0 in the others.
  public func mask(size: Int, reduction: Int) -> Tensor {
    let cells = size / reduction
    func isInside(_ cell: Int, _ offset: Int) -> Bool {
      cell * reduction >= offset && (cell + 1) * reduction <= offset + side
    }
    return Tensor.make([1, 1, cells, cells]) { out in
      for row in 0..<cells {
        for column in 0..<cells { out[row * cells + column] = isInside(row, top) && isInside(column, left) ? 1 : 0 }
      }
    }
  }
}

/// The pictures that clean latents stand for, from which augmented latents are made.
struct AugmentedLatents {
  private let augmentation: ImageAugmentation
  private let vae: AutoencoderKL
  private let pictures: [RGBImage]

  /// - Parameter latents: (count, channels, height, width), as the diffusion model has them
  init(_ augmentation: ImageAugmentation, _ latents: Tensor, _ vae: AutoencoderKL) throws {
    self.augmentation = augmentation
    self.vae = vae
    pictures = try mapOnThreads(latents.shape[0]) { index in
      let image = vae.decode(scaled: latents.slice(axis: 0, index..<index + 1))
      return RGBImage(image.reshaped(Array(image.shape[1...])))
    }
  }

  /// A training sample of one of the pictures after augmentation, and its validity mask.
  func sample(_ schedule: NoiseSchedule, _ stream: RandomStream) -> (NoisedSample, mask: Tensor?) {
    let image = NoisedSample.image(of: pictures.count, stream)
    let (size, reduction) = (pictures[image].width, vae.config.reduction)
    let own = stream.substream("augmentation")
    let placement = augmentation.placement(size: size, reduction: reduction, own)
    let posterior = vae.encode(placement(pictures[image].tensor.reshaped([1, 3, size, size])))
    let clean = vae.scaled(posterior.sample(noise: own.substream("posterior").normal(posterior.mean.shape)))
    return (
      NoisedSample(clean, ofImage: image, schedule, stream), placement.mask(size: size, reduction: reduction)
    )
  }
}
