public import Tensors

/// DDIM inversion (Song et al., 2021, section 4.3; Dhariwal and Nichol, 2021, appendix F): from a clean latent to the
/// noise from which sampling leads back to about that latent.
///
/// It takes the sampler's steps the other way round, each with the noise that the model sees in the cleaner latent,
/// which is where the small error of a round trip comes from. The prompt alone speaks, without guidance: guidance would
/// multiply that error.
public struct Inversion {
  public let model: DiffusionModel
  /// The timesteps that the steps reach, cleanest first.
  public let timesteps: [Int]
  private let scheduler: DDIMScheduler
  /// For each step the embedding of the timestep that it leaves.
  private let times: [PreparedTimesteps]

  /// - Parameter steps: as many as the sampling that leads back takes
  /// - Throws: ``SamplingError`` for a number of steps that the model's schedule cannot take.
  public init(_ model: DiffusionModel, steps: Int) throws {
    self.model = model
    scheduler = DDIMScheduler(model.architecture.scheduler)
    timesteps = try scheduler.timesteps(steps).reversed()
    let stride = scheduler.schedule.trainTimesteps / steps
    times = timesteps.map { model.unet.prepare(timesteps: [max(0, $0 - stride)]) }
  }

  /// The noise of clean latents.
  ///
  /// - Parameters:
  ///   - latents: (batch, channels, height, width), as the diffusion model has them
  ///   - prompt: what the latents are said to show; the empty prompt says nothing
  ///   - stepped: called after each step with the number of steps done
  /// - Returns: latents of the same shape, at the noisiest of ``timesteps``
  /// - Throws: `CancellationError` when `isCancelled` says so.
  public func callAsFunction(
    _ latents: Tensor, prompt: String = "", isCancelled: () -> Bool = { false }, stepped: (Int) -> Void = { _ in }
  ) throws -> Tensor {
    let text = model.unet.prepare(text: model.textEncoder([model.tokenizer.encode(prompt)]))
    let texts = PreparedText.batch(Array(repeating: text, count: latents.shape[0]))
    var latents = latents
    for (index, timestep) in timesteps.enumerated() {
      if isCancelled() { throw CancellationError() }
      let hooks = model.intervention.hooks?(timesteps.count - 1 - index)
      let predicted = model.unet(latents, time: times[index], text: texts, hooks: hooks)
      latents = scheduler.inverseStep(predicted, sample: latents, timestep: timestep, steps: timesteps.count)
      stepped(index + 1)
    }
    return latents
  }
}

/// Concept purification (Hong, Lee and Woo, AAAI 2024, arXiv 2312.12807, supplement): a picture is inverted to noise,
/// and an edited model draws it again without the concept.
public struct Purification {
  /// A picture drawn again.
  public struct Result {
    public let picture: RGBImage
    /// The picture as the inverting model draws it from the same noise without guidance: what purification changes is
    /// what differs from it.
    public let reconstruction: RGBImage
    /// ‖reconstructed latent - latent‖ / ‖latent‖ of that round trip; purification is no better than this.
    public let roundTripError: Double
  }

  /// The model that finds the noise: the edited one, as the paper's text has it, or the original.
  public var inverting: DiffusionModel
  /// The edited model, which draws.
  public var drawing: DiffusionModel
  /// How the edited model draws; the picture decides height and width, and DDIM without noise is the way back.
  public var settings: SamplerSettings
  /// The prompt of inversion and of drawing: the empty one or the erased concept.
  public var prompt: String

  public init(inverting: DiffusionModel, drawing: DiffusionModel, settings: SamplerSettings, prompt: String = "") {
    self.inverting = inverting
    self.drawing = drawing
    self.settings = settings
    self.prompt = prompt
  }

  /// Draws a picture again.
  ///
  /// - Parameter progress: called after each step of the UNet with those done and those there are
  /// - Throws: ``SamplingError`` for a picture or settings that the models cannot follow, `CancellationError` when
  ///   `isCancelled` says so.
  public func callAsFunction(
    _ picture: RGBImage, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in },
    isCancelled: () -> Bool = { false }
  ) throws -> Result {
    var settings = settings
    (settings.height, settings.width) = (picture.height, picture.width)
    (settings.scheduler, settings.eta) = (.ddim, 0)
    let sampler = try Sampler(drawing, settings)
    settings.guidanceScale = 1
    let inversion = try Inversion(inverting, steps: settings.steps)
    let plain = try Sampler(inverting.withoutGuidance, settings)
    let steps = settings.steps
    let latent = inverting.vae.scaled(inverting.vae.encode(RGBImage.batch([picture])).mean)
    let noise = try inversion(latent, prompt: prompt, isCancelled: isCancelled) { progress($0, 3 * steps) }
    let reconstructed = try plain.denoise(noise, prompts: [prompt], isCancelled: isCancelled) {
      progress(steps + $0, 3 * steps)
    }
    let purified = try sampler.denoise(noise, prompts: [prompt], isCancelled: isCancelled) {
      progress(2 * steps + $0, 3 * steps)
    }
    return Result(
      picture: sampler.pictures(purified)[0], reconstruction: plain.pictures(reconstructed)[0],
      roundTripError: ((reconstructed - latent).sumOfSquares / latent.sumOfSquares).squareRoot())
  }
}

extension DiffusionModel {
  /// The same model without the guidance of its intervention, which has no place where there is no guidance.
  fileprivate var withoutGuidance: DiffusionModel {
    var model = self
    model.intervention.guidance = nil
    return model
  }
}
