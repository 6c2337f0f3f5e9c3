internal import Configuration
internal import Foundation
public import Tensors

/// How a CLIP model wants its images: the mean and the standard deviation of each channel, of values from 0 to 1.
public struct CLIPPreprocessing: Equatable, Sendable {
  public var mean: [Double] = [0.5, 0.5, 0.5]
  public var deviation: [Double] = [0.5, 0.5, 0.5]

  public init() {}

  /// The `preprocessor_config.json` of a CLIP folder; images from -1 to 1 where it has none.
  ///
  /// - Throws: ``ModelFolderError`` naming file and key.
  public init(folder: String) throws {
    let path = folder + "/preprocessor_config.json"
    guard FileManager.default.fileExists(atPath: path) else { return }
    let file = try ConfigurationFile(path: path)
    func channels(_ key: String) throws -> [Double] {
      let numbers = file.value(key)?.array?.compactMap(\.number) ?? []
      guard numbers.count == 3 else { throw file.error(key, "a list of three numbers was expected") }
      return numbers
    }
    try file.require("do_normalize", true, absent: true)
    mean = try channels("image_mean")
    deviation = try channels("image_std")
    guard deviation.allSatisfy({ $0 > 0 }) else {
      throw file.error("image_std", "numbers greater than 0 were expected")
    }
  }

  /// The file as transformers' image processor reads it.
  func json(imageSize: Int) -> JSON {
    [
      "image_processor_type": "CLIPImageProcessor",
      "do_convert_rgb": true,
      "do_resize": true, "size": ["shortest_edge": .integer(imageSize)], "resample": 3,
      "do_center_crop": true, "crop_size": ["height": .integer(imageSize), "width": .integer(imageSize)],
      "do_rescale": true, "rescale_factor": .number(1.0 / 255),
      "do_normalize": true,
      "image_mean": .array(mean.map(JSON.number)), "image_std": .array(deviation.map(JSON.number)),
    ]
  }

  /// Images (batch, 3, height, width) in [-1, 1] to what the vision tower reads, of the same shape.
  public func callAsFunction(_ images: Tensor) -> Tensor {
    if self == CLIPPreprocessing() { return images }
    let scale = Tensor(deviation.map { Float(0.5 / $0) }, shape: [1, 3, 1, 1])
    let shift = Tensor(zip(mean, deviation).map { Float((0.5 - $0) / $1) }, shape: [1, 3, 1, 1])
    return images * scale + shift
  }
}
