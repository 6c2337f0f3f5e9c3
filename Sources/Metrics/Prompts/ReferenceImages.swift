internal import Diffusion
internal import Shapes
internal import Tensors

extension MetricContext {
  /// Drawn pictures of what the general prompts say, each prompt in turn, so that their attributes are distributed as
  /// those of the images are meant to be. Every metric that compares with references has the same ones.
  ///
  /// - Parameter prompts: general prompts of the card, those of a concept left out or not
  /// - Throws: ``MetricError`` for a prompt that is none of the drawn world.
  func referenceImages(_ count: Int, of prompts: [String], for metric: String) throws -> [RGBImage] {
    let world = ShapesWorld()
    var attributes: [String: SceneAttributes] = [:]
    for prompt in world.labelledGeneralPrompts(try generalPrompts(for: metric).count) {
      attributes[prompt.text] = prompt.attributes
    }
    let described = try prompts.map { prompt in
      guard let described = attributes[prompt] else {
        throw MetricError(
          "\(metric): \"\(prompt)\" is no prompt of the drawn world, and only of that world are there reference images")
      }
      return described
    }
    let stream = RandomStream(seed: world.seed, "fid", "reference")
    return try parallelMap(count) { index in
      Scene(described[index % described.count], stream: stream.item(index)).drawn()
    }
  }
}
