internal import Configuration
public import Diffusion
public import Tensors

/// Where in a latent a concept is, read from the cross-attention maps of the UNet itself: what a segmentation network
/// tells in the publication of MACE, for which there is none here.
///
/// The attention that the concept's tokens get is averaged over heads, layers and a few noise levels, spread from zero
/// to one, and cut at a threshold.
public struct ConceptMask {
  /// (height, width) of the latent; 1 where the concept is, else 0.
  public let values: Tensor

  /// - Parameters:
  ///   - latent: the clean latent, (1, channels, height, width)
  ///   - prompt: the prompt that it was drawn from
  ///   - positions: the places of the concept's tokens in it
  ///   - threshold: the share of the range of the averaged map from which on it counts as the concept
  ///   - stream: where the noise comes from
  public init(
    _ model: DiffusionModel, latent: Tensor, prompt: String, positions: [Int], threshold: Double, stream: RandomStream
  ) {
    let states = model.textEncoder([model.tokenizer.encode(prompt)])
    let (height, width) = (latent.shape[2], latent.shape[3])
    var map = [Double](repeating: 0, count: height * width)
    for (index, share) in Self.noiseLevels.enumerated() {
      let timestep = Int(share * Double(model.schedule.trainTimesteps))
      let noise = stream.item(index).normal(latent.shape)
      let noisy = model.schedule.addNoise(latent, noise: noise, timesteps: [timestep])
      var hooks = UNetHooks()
      hooks.crossAttentionProbabilities = { _, probabilities in
        Self.add(probabilities, at: positions, to: &map, height: height, width: width)
        return probabilities
      }
      _ = model.unet(noisy, timesteps: [timestep], encoderHiddenStates: states, hooks: hooks)
    }
    let (lowest, highest) = (map.min() ?? 0, map.max() ?? 0)
    let limit = lowest + threshold * (highest - lowest)
    values = Tensor(map.map { $0 >= limit ? 1 : 0 }, shape: [height, width])
  }

  /// Noise at which shapes are settled and details are not, as shares of the training timesteps.
  private static let noiseLevels = [0.1, 0.2, 0.3, 0.4, 0.5]

  /// Passes through the UNet for one image.
  static var passes: Int { noiseLevels.count }

  /// Adds the attention of some tokens, averaged over heads, to a map of the latent's size.
  private static func add(
    _ probabilities: Tensor, at positions: [Int], to map: inout [Double], height: Int, width: Int
  ) {
    let (heads, tokens) = (probabilities.shape[0], probabilities.shape[2])
    let layer = LayerGrid(positions: probabilities.shape[1], height: height, width: width)
    let attention = probabilities.values
    for place in map.indices {
      let row = layer.position(of: place)
      for head in 0..<heads {
        for token in positions {
          map[place] += Double(attention[(head * layer.positions + row) * tokens + token]) / Double(heads)
        }
      }
    }
  }

  /// Which positions of a cross-attention layer lie in the mask: (1, positions, 1), ones and zeros. A layer at half the
  /// resolution takes every second row and column.
  public func atLayer(positions: Int) -> Tensor {
    let layer = LayerGrid(positions: positions, height: values.shape[0], width: values.shape[1])
    let mask = values.values
    return Tensor((0..<positions).map { mask[layer.place(of: $0)] }, shape: [1, positions, 1])
  }
}

/// The positions of a layer whose maps are a latent halved some times.
private struct LayerGrid {
  let positions: Int
  let width: Int
  /// Latent pixels along an axis for each position.
  let reduction: Int

  init(positions: Int, height: Int, width: Int) {
    self.positions = positions
    self.width = width
    reduction = Int((Double(height * width) / Double(positions)).squareRoot().rounded())
  }

  /// The position that covers a pixel of the latent.
  func position(of place: Int) -> Int { place / width / reduction * (width / reduction) + place % width / reduction }

  /// The upper left pixel that a position covers.
  func place(of position: Int) -> Int {
    let columns = width / reduction
    return position / columns * reduction * width + position % columns * reduction
  }
}
