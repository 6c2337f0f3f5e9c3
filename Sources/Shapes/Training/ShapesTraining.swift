internal import Configuration
public import Diffusion
public import Tensors

/// Trains the parts of the embedded model and puts them together as a diffusers folder.
public struct ShapesTraining {
  public let world: ShapesWorld
  public let recipe: ShapesRecipe
  /// The folder with the tokenizer's files, made from the world's words.
  public let tokenizerFolder: String
  private let tokenizer: CLIPTokenizer

  /// - Parameter workFolder: where the tokenizer is written and interrupted trainings leave their states; made where
  ///   it is missing
  public init(world: ShapesWorld = ShapesWorld(), recipe: ShapesRecipe, workFolder: String) throws {
    self.world = world
    self.recipe = recipe
    tokenizerFolder = workFolder + "/tokenizer"
    try VocabularyBuilder().write(to: tokenizerFolder)
    tokenizer = try CLIPTokenizer(folder: tokenizerFolder)
  }

  /// The weights of one part.
  ///
  /// - Parameter trained: the weights of the parts that this one needs
  public func train(_ part: ShapesPart, trained: [ShapesPart: Weights], _ monitor: TrainingMonitor) throws -> Weights {
    switch part {
    case .judge: return try JudgeTraining(world: world, recipe: recipe.judge.optimization).run(monitor)
    case .clip: return try clip.run(monitor)
    case .autoencoder: return try autoencoder.run(monitor, judge: weights(.judge, of: trained))
    case .unet:
      return try unet(
        textEncoder: CLIPTextModel(clip.config.text, textWeights(trained)),
        autoencoder: AutoencoderKL(autoencoder.config, weights(.autoencoder, of: trained))
      ).run(monitor)
    }
  }

  /// The whole model of trained parts, with its card.
  public func model(_ trained: [ShapesPart: Weights]) throws -> DiffusionModel {
    let text = try textWeights(trained), vae = try weights(.autoencoder, of: trained)
    let training = try unet(
      textEncoder: CLIPTextModel(clip.config.text, text), autoencoder: AutoencoderKL(autoencoder.config, vae))
    let architecture = DiffusionModel.Architecture(
      text: clip.config.text, unet: training.config, vae: autoencoder.config, scheduler: ShapesTraining.scheduler)
    return try DiffusionModel(
      architecture, textWeights: text, unetWeights: weights(.unet, of: trained), vaeWeights: vae,
      tokenizerFolder: tokenizerFolder, card: world.modelCard())
  }

  /// Writes the model as a diffusers folder in half precision, with its judges beside it.
  public func write(_ trained: [ShapesPart: Weights], to folder: String) throws {
    let card = world.modelCard()
    let model = try model(trained)
    for name in card.judges.values.sorted() {
      try WholeFile.makeFolder("\(folder)/\(name)")
    }
    if let name = card.judges[ShapesWorld.judgeName] {
      try JudgeNetwork.write(weights(.judge, of: trained), folder: "\(folder)/\(name)")
    }
    if let name = card.judges[ShapesWorld.clipName] {
      try CLIPModel.write(clip.config, weights(.clip, of: trained), to: "\(folder)/\(name)", half: true)
    }
    try model.write(to: folder, half: true)
  }

  /// The noise schedule of Stable Diffusion.
  static let scheduler = SchedulerConfig()

  private var clip: CLIPTraining {
    CLIPTraining(world: world, tokenizer: tokenizer, recipe: recipe.clip.optimization, network: recipe.clip.network)
  }

  private var autoencoder: AutoencoderTraining {
    AutoencoderTraining(world: world, recipe: recipe.autoencoder.optimization, network: recipe.autoencoder.network)
  }

  private func unet(textEncoder: CLIPTextModel, autoencoder: AutoencoderKL) -> UNetTraining {
    UNetTraining(
      world: world, tokenizer: tokenizer, textEncoder: textEncoder, autoencoder: autoencoder,
      schedule: NoiseSchedule(ShapesTraining.scheduler), recipe: recipe.unet.optimization,
      network: recipe.unet.network)
  }

  private func weights(_ part: ShapesPart, of trained: [ShapesPart: Weights]) throws -> Weights {
    guard let weights = trained[part] else { throw MissingPart(part: part) }
    return weights
  }

  /// The text tower alone, as a text encoder is kept.
  private func textWeights(_ trained: [ShapesPart: Weights]) throws -> Weights {
    let all = try weights(.clip, of: trained)
    return Weights(all.byName.filter { $0.key.hasPrefix("text_model.") }, source: all.source)
  }
}

/// A part was to be trained before those it needs.
public struct MissingPart: Error, CustomStringConvertible {
  public let part: ShapesPart
  public var description: String { "the \(part.rawValue) has to be trained first" }
}
