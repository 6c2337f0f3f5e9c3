public import Diffusion
public import Tensors

/// What an attack is made with.
public struct AttackContext {
  /// What a judge says of an image.
  public struct Verdict: Equatable, Sendable {
    /// Whether the concept is there.
    public var isFound: Bool
    /// The judge's probability of the concept, from 0 to 1.
    public var probability: Double

    public init(isFound: Bool, probability: Double) {
      self.isFound = isFound
      self.probability = probability
    }
  }

  /// The model before the edit.
  public let base: DiffusionModel
  /// The edited model, with what it changes while images are drawn; for an attack on the text encoder the base model.
  public let attacked: DiffusionModel
  public let sampler: SamplerSettings
  /// The seed of the experiment, of which every search has streams of its own.
  public let seed: UInt64
  public let monitor: WorkMonitor
  /// Asks the concept's judge about images.
  public let judge: (_ concept: String, _ images: [RGBImage]) throws -> [Verdict]
  /// The embeddings of images under the base model's CLIP, (images, width).
  ///
  /// Throws where the base model declares no CLIP judge.
  public let imageEmbeddings: (_ images: [RGBImage]) throws -> Tensor

  public init(
    base: DiffusionModel, attacked: DiffusionModel, sampler: SamplerSettings, seed: UInt64,
    monitor: WorkMonitor = WorkMonitor(),
    judge: @escaping (_ concept: String, _ images: [RGBImage]) throws -> [Verdict],
    imageEmbeddings: @escaping (_ images: [RGBImage]) throws -> Tensor = { _ in
      throw AttackError("there is no CLIP model to compare images with")
    }
  ) {
    self.base = base
    self.attacked = attacked
    self.sampler = sampler
    self.seed = seed
    self.monitor = monitor
    self.judge = judge
    self.imageEmbeddings = imageEmbeddings
  }

  /// The random numbers of one search.
  public func stream(_ attack: String, _ target: AttackTarget) -> RandomStream {
    RandomStream(seed: seed, "attack", attack, target.concept, target.prompt).item(target.repetition)
  }

  /// The image that a model draws to a text from the target's noise.
  ///
  /// - Throws: `CancellationError` where the monitor says so.
  public func image(_ text: String, _ target: AttackTarget, by model: DiffusionModel) throws -> RGBImage {
    var images: [RGBImage] = []
    let sampler = try Sampler(model, sampler)
    try sampler.draw([target.request(text)], isCancelled: monitor.isCancelled) { images += sampler.pictures($1) }
    return images[0]
  }

  /// Whether the attacked model draws the concept to a text.
  public func succeeds(_ text: String, _ target: AttackTarget) throws -> Bool {
    try judge(target.concept, [image(text, target, by: attacked)])[0].isFound
  }
}
