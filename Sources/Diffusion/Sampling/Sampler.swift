public import Tensors

/// Draws images by a scheduler with classifier-free guidance.
///
/// An image depends on its prompt, its noise and the settings, and not on the batch that it is drawn in: every
/// batch size gives the same bytes. What a scheduler adds to it on the way is drawn from a stream that its noise names.
public struct Sampler {
  public let model: DiffusionModel
  public let settings: SamplerSettings
  /// What the model is asked with at each step of a run, noisiest first; see ``Solver/timesteps``.
  public let timesteps: [Float]
  /// (channels, height, width) of a latent.
  public let latentShape: [Int]

  /// Before its first step.
  private let solver: any Solver
  private let times: [PreparedTimesteps]
  /// The texts of guidance: the negative prompt, then those of a ``ConceptGuidance``; empty without guidance.
  private let guidance: [PreparedText]

  /// - Throws: ``SamplingError`` for settings that the model cannot follow.
  public init(_ model: DiffusionModel, _ settings: SamplerSettings) throws {
    guard settings.guidanceScale.isFinite, settings.guidanceScale >= 0 else {
      throw SamplingError("a guidance scale of \(settings.guidanceScale): a number of at least 0 was expected")
    }
    let reduction = model.vae.config.reduction
    let multiple = reduction * model.unet.resolution
    let trained = model.unet.config.sampleSize * reduction
    let (height, width) = (settings.height ?? trained, settings.width ?? trained)
    for (name, pixels) in [("height", height), ("width", width)] where pixels < 1 || pixels % multiple != 0 {
      throw SamplingError("a \(name) of \(pixels) pixels: a multiple of \(multiple) was expected")
    }
    if model.intervention.guidance != nil, !settings.isGuided {
      throw SamplingError(
        "a guidance scale of \(settings.guidanceScale): guidance away from a concept needs one above 1")
    }
    solver = try model.architecture.scheduler.solver(
      steps: settings.steps, scheduler: settings.scheduler, eta: settings.eta)
    timesteps = solver.timesteps
    if let steps = model.intervention.steps, steps != timesteps.count {
      throw SamplingError("\(timesteps.count) steps: what is changed while images are drawn was found for \(steps)")
    }
    self.model = model
    self.settings = settings
    latentShape = [model.unet.config.inChannels, height / reduction, width / reduction]
    times = timesteps.map { model.unet.prepare(timesteps: [$0]) }
    let prompts = settings.isGuided ? [settings.negativePrompt] + (model.intervention.guidance?.prompts ?? []) : []
    guidance = prompts.map { model.unet.prepare(text: model.textEncoder([model.tokenizer.encode($0)])) }
  }

  /// The starting noise of an image: (1, channels, height, width), standard normal.
  ///
  /// Its address is the seed, the text of the prompt and the repetition, so that metrics share images and models are
  /// compared from the same noise.
  public func noise(_ request: ImageRequest) -> Tensor {
    RandomStream(seed: request.seed, "image", request.noisePrompt ?? request.prompt).item(request.repetition)
      .normal([1] + latentShape)
  }

  /// Draws images in batches and hands on each batch as soon as it is done.
  ///
  /// - Parameters:
  ///   - batchSize: images drawn at a time, unless ``MemoryLimits`` allow fewer; it changes speed and memory, and no
  ///     result
  ///   - progress: called after every step; where threads denoise images of their own, after those of one of them and
  ///     on its thread
  ///   - isCancelled: asked before every step, on several threads at once; a run that it ends throws
  ///     `CancellationError`
  ///   - finished: the place of a batch among the requests and its final latents, as the diffusion model has them
  public func draw(
    _ requests: [ImageRequest], batchSize: Int = 16, progress: ((SamplingProgress) -> Void)? = nil,
    isCancelled: () -> Bool = { false }, finished: (Range<Int>, Tensor) throws -> Void
  ) throws {
    precondition(batchSize >= 1, "a batch of \(batchSize) images")
    let size = min(batchSize, MemoryLimits.images)
    for first in stride(from: 0, to: requests.count, by: size) {
      let range = first..<min(first + size, requests.count)
      let batch = requests[range]
      let latents = try denoise(
        batch.count == 1 ? noise(batch[first]) : concatenate(batch.map(noise), axis: 0), prompts: batch.map(\.prompt),
        isCancelled: isCancelled
      ) { step in
        progress?(
          SamplingProgress(finished: first, total: requests.count, step: step, steps: timesteps.count))
      }
      try finished(range, latents)
    }
  }

  /// Final latents of prompts from given noise, in one batch.
  ///
  /// - Parameters:
  ///   - noise: (prompts, channels, height, width)
  ///   - stepped: called after each step with the number of steps done
  /// - Returns: latents of the same shape, as the diffusion model has them
  /// - Throws: `CancellationError` when `isCancelled` says so.
  public func denoise(
    _ noise: Tensor, prompts: [String], isCancelled: () -> Bool = { false }, stepped: (Int) -> Void = { _ in }
  ) throws -> Tensor {
    try denoise(noise, texts: prepare(prompts), isCancelled: isCancelled, stepped: stepped)
  }

  /// Final latents from given noise and text states (batch, positions, width), in one batch: what an attack on
  /// embeddings draws with.
  public func denoise(
    _ noise: Tensor, states: Tensor, isCancelled: () -> Bool = { false }, stepped: (Int) -> Void = { _ in }
  ) throws -> Tensor {
    let texts = (0..<states.shape[0]).map { model.unet.prepare(text: states.slice(axis: 0, $0..<$0 + 1)) }
    return try denoise(noise, texts: texts, isCancelled: isCancelled, stepped: stepped)
  }

  /// The latent that a run has reached after some of its steps: a point of a trajectory, at which the step of
  /// `timesteps[last]` would come next.
  ///
  /// - Parameters:
  ///   - noise: (1, channels, height, width)
  ///   - first: the steps that are left out: the noise is taken for what would reach `timesteps[first]`
  ///   - last: the end of the steps, at least `first`, which is the noise itself, up to the number of ``timesteps``
  public func partialTrajectory(
    _ noise: Tensor, prompt: String, from first: Int = 0, steps last: Int, isCancelled: () -> Bool = { false }
  ) throws -> Tensor {
    try denoiseTogether(noise, prepare([prompt])[0], steps: first..<last, isCancelled: isCancelled)
  }

  /// Pictures of latents as the diffusion model has them, (batch, channels, height, width).
  public func pictures(_ latents: Tensor) -> [RGBImage] {
    let count = latents.shape[0]
    var pictures = [RGBImage?](repeating: nil, count: count)
    pictures.withUnsafeMutableBufferPointer { pictures in
      nonisolated(unsafe) let pictures = pictures
      parallelFor(count) { index in
        let image = model.vae.decode(scaled: latents.slice(axis: 0, index..<index + 1))
        pictures[index] = RGBImage(image.reshaped(Array(image.shape[1...])))
      }
    }
    return pictures.compactMap { $0 }
  }

  /// Text projections of prompts, each computed once and alone.
  private func prepare(_ prompts: [String]) -> [PreparedText] {
    var prepared: [String: PreparedText] = [:]
    return prompts.map { prompt in
      if let known = prepared[prompt] { return known }
      let text = model.unet.prepare(text: model.textEncoder([model.tokenizer.encode(prompt)]))
      prepared[prompt] = text
      return text
    }
  }

  /// Images that one thread takes through all steps together: enough that weights are read from memory seldom, few
  /// enough that the maps of all of them stay in a core's cache.
  private static let pieceSize = 4

  /// Where there are images for all threads, each thread denoises whole images by itself and waits for nobody; else
  /// the threads share the work inside each step.
  private func denoise(
    _ noise: Tensor, texts: [PreparedText], isCancelled: () -> Bool, stepped: (Int) -> Void
  ) throws -> Tensor {
    let (count, threads) = (noise.shape[0], Parallel.threadCount)
    guard count > 1, count >= threads else {
      return try denoiseTogether(noise, .batch(texts), isCancelled: isCancelled, stepped: stepped)
    }
    let size = min(Sampler.pieceSize, (count + threads - 1) / threads)
    let pieces = stride(from: 0, to: count, by: size).map { $0..<min($0 + size, count) }
    var latents: [Tensor] = []
    for first in stride(from: 0, to: pieces.count, by: threads) {
      let wave = pieces[first..<min(first + threads, pieces.count)]
      latents += try parallelMap(wave.count) { index in
        let piece = wave[wave.startIndex + index]
        return try denoiseTogether(
          noise.slice(axis: 0, piece), .batch(Array(texts[piece])), isCancelled: isCancelled
        ) { step in
          // The others of the round are about as far.
          if index == 0 { stepped((timesteps.count * wave.startIndex + step * wave.count) / pieces.count) }
        }
      }
    }
    return concatenate(latents, axis: 0)
  }

  private func denoiseTogether(
    _ noise: Tensor, _ conditional: PreparedText, steps: Range<Int>? = nil, isCancelled: () -> Bool = { false },
    stepped: (Int) -> Void = { _ in }
  ) throws -> Tensor {
    let count = noise.shape[0]
    let text = PreparedText.batch(guidance.flatMap { Array(repeating: $0, count: count) } + [conditional])
    let steps = steps ?? timesteps.indices
    var solver = solver
    var latents = solver.initialNoiseScale == 1 || steps.lowerBound > 0 ? noise : noise * solver.initialNoiseScale
    var state: Tensor?
    for index in steps {
      if isCancelled() { throw CancellationError() }
      let predicted = model.unet(
        solver.modelInput(latents, step: index), time: times[index], text: text,
        hooks: model.intervention.hooks?(index))
      let guided = guidance.isEmpty ? predicted : guide(predicted, count: count, step: index, &state)
      latents = solver.step(guided, latents, step: index) { Self.stepNoise(after: noise, step: index) }
      stepped(index + 1)
    }
    return latents
  }

  /// What a step adds to images, of streams that the noise they began with names: (batch, channels, height, width).
  private static func stepNoise(after noise: Tensor, step: Int) -> Tensor {
    let items = (0..<noise.shape[0]).map { item -> Tensor in
      let start = noise.slice(axis: 0, item..<item + 1)
      // FNV-1a over the bits.
      let name = start.values.reduce(0xCBF2_9CE4_8422_2325 as UInt64) {
        ($0 ^ UInt64($1.bitPattern)) &* 0x0000_0100_0000_01B3
      }
      return RandomStream(seed: name, "scheduler").item(step).normal(start.shape)
    }
    return concatenate(items, axis: 0)
  }

  /// ε(∅) + w (ε(c) - ε(∅)), or what a ``ConceptGuidance`` makes of all predictions, one after the other in a batch.
  private func guide(_ noise: Tensor, count: Int, step: Int, _ state: inout Tensor?) -> Tensor {
    func part(_ index: Int) -> Tensor { noise.slice(axis: 0, index * count..<(index + 1) * count) }
    let (unconditional, conditional) = (part(0), part(guidance.count))
    guard let rule = model.intervention.guidance else {
      return unconditional + (conditional - unconditional) * Float(settings.guidanceScale)
    }
    return rule.combine(
      ConceptGuidance.Predictions(
        step: step, unconditional: unconditional, conditional: conditional,
        concepts: rule.prompts.indices.map { part($0 + 1) }),
      &state)
  }
}
