public import Configuration
public import Diffusion
internal import Erasure
public import Tensors

/// The work that Lethe is slow or fast at, timed on one model: `benchmarks/diffusers_peer.py` times the same in
/// diffusers.
public struct Benchmark {
  public var steps = 50
  public var batches = [1, 64]
  public var trainingBatch = 64
  public var repeats = 5
  /// A piece of work that takes longer than so many seconds is timed once and not warmed up.
  public var patience = 20.0
  public var prompt = "a red striped circle on a white background"
  /// `nil` for the model's own.
  public var guidanceScale: Double?

  public init() {}

  /// Seconds, each the median of its repeats.
  public struct Result: Sendable {
    public var threads = 0
    public var steps = 0
    public var guidanceScale = 0.0
    public var parameters = 0
    public var latentSize = 0
    public var trainingBatch = 0
    /// By batch size, in the order asked for: from the prompt to the decoded image, per image.
    public var perImage: [(batch: Int, seconds: Double)] = []
    public var perTrainingStep = 0.0
    public var perFisherSample = 0.0
    /// Floating point operations of each, counted from shapes.
    public var operations = Operations()
    /// What matrix products reach, in operations a second.
    public var productSpeed = 0.0

    public struct Operations: Sendable {
      public var perImage = 0
      public var perTrainingStep = 0
      public var perFisherSample = 0
    }

    /// The speed of work as a share of ``productSpeed``.
    public func share(_ operations: Int, seconds: Double) -> Double { Double(operations) / seconds / productSpeed }

    /// The document that the peer prints, too.
    public var json: JSON {
      var images: [String: JSON] = [:]
      for (batch, seconds) in perImage { images[String(batch)] = .number(seconds) }
      return [
        "threads": .integer(threads), "steps": .integer(steps), "guidance_scale": .number(guidanceScale),
        "unet_parameters": .integer(parameters), "latent_size": .integer(latentSize),
        "training_batch": .integer(trainingBatch), "seconds_per_image": .object(images),
        "seconds_per_training_step": .number(perTrainingStep), "seconds_per_fisher_sample": .number(perFisherSample),
        "operations_per_image": .integer(operations.perImage),
        "operations_per_training_step": .integer(operations.perTrainingStep),
        "operations_per_fisher_sample": .integer(operations.perFisherSample),
        "product_operations_per_second": .number(productSpeed),
      ]
    }
  }

  /// - Parameter monitor: progress in pieces of work
  public func run(_ model: DiffusionModel, monitor: WorkMonitor) throws -> Result {
    var result = Result()
    result.threads = Parallel.threadCount
    result.steps = steps
    result.guidanceScale = guidanceScale ?? model.card?.sampler.guidanceScale ?? 7.5
    result.parameters = model.unetWeights.parameterCount
    result.latentSize = model.unet.config.sampleSize
    result.trainingBatch = trainingBatch
    result.operations = operations(model, isGuided: result.guidanceScale > 1)
    let total = batches.count + 2
    for (index, batch) in batches.enumerated() {
      try monitor.advance(to: index, of: total)
      result.perImage.append((batch, try perImage(model, batch: batch, guidanceScale: result.guidanceScale, monitor)))
    }
    try monitor.advance(to: batches.count, of: total)
    result.perTrainingStep = try perTrainingStep(model)
    try monitor.advance(to: batches.count + 1, of: total)
    result.perFisherSample = try perFisherSample(model, monitor)
    try monitor.advance(to: total, of: total)
    try model.confirmUnchanged()
    result.productSpeed = ProductSpeed.operationsPerSecond()
    return result
  }

  /// A gradient takes three times the operations of its forward pass.
  private func operations(_ model: DiffusionModel, isGuided: Bool) -> Result.Operations {
    let texts = isGuided ? 2 : 1
    let size = model.unet.config.sampleSize
    func unet(_ batch: Int) -> Int {
      model.unet.config.arithmetic(
        batch: batch, height: size, width: size, positions: model.tokenizer.modelMaxLength
      ).operations
    }
    let decoding = model.vae.config.decoderArithmetic(batch: 1, height: size, width: size).operations
    let encoding = model.textEncoder.config.arithmetic(prompts: texts).operations
    return Result.Operations(
      perImage: steps * unet(texts) + decoding + encoding, perTrainingStep: 3 * unet(trainingBatch),
      perFisherSample: 3 * unet(1))
  }

  private func perImage(
    _ model: DiffusionModel, batch: Int, guidanceScale: Double, _ monitor: WorkMonitor
  ) throws -> Double {
    let settings = SamplerSettings(steps: steps, guidanceScale: guidanceScale)
    let requests = (0..<batch).map { ImageRequest(prompt: prompt, seed: 0, repetition: $0) }
    let seconds = try median {
      // The text encoder's part is in it, as in a pipeline that is called with a prompt.
      let sampler = try Sampler(model, settings)
      try sampler.draw(requests, batchSize: batch, isCancelled: monitor.isCancelled) { _, latents in
        _ = sampler.pictures(latents)
      }
    }
    return seconds / Double(batch)
  }

  private func perTrainingStep(_ model: DiffusionModel) throws -> Double {
    let microBatches = trainingBatch % 4 == 0 ? 4 : 1
    let size = trainingBatch / microBatches
    let trainer = Trainer(
      model.unetWeights, Trainer.Settings(steps: .max, learningRate: 1e-5, maximumNorm: 1, microBatches: microBatches))
    let states = model.textEncoder(Array(repeating: model.tokenizer.encode(prompt), count: size))
    let shape = latentShape(model, batch: size)
    let stream = RandomStream(seed: 0, "benchmark")
    return try median {
      _ = try trainer.advance { microBatch, weights in
        let draws = stream.item(microBatch)
        let noise = draws.normal(shape)
        let timesteps = draws.substream("timesteps").integers(size, below: model.schedule.trainTimesteps)
        let noisy = model.schedule.addNoise(
          draws.substream("latents").normal(shape), noise: noise, timesteps: timesteps)
        let unet = try UNet2DConditionModel(model.unet.config, weights)
        return mseLoss(unet(noisy, timesteps: timesteps, encoderHiddenStates: states), noise)
      }
    }
  }

  private func perFisherSample(_ model: DiffusionModel, _ monitor: WorkMonitor) throws -> Double {
    let samples = 16
    // The clean latent of the one prompt costs a single pass, next to nothing beside sixteen gradients.
    let fisher = FisherInformation(
      prompts: [prompt], samplesPerPrompt: samples, sampler: SamplerSettings(steps: 1, guidanceScale: 1), seed: 0)
    let quiet = WorkMonitor(isCancelled: monitor.isCancelled)
    return try median { _ = try fisher.diagonal(model, monitor: quiet) } / Double(samples)
  }

  private func latentShape(_ model: DiffusionModel, batch: Int) -> [Int] {
    [batch, model.unet.config.inChannels, model.unet.config.sampleSize, model.unet.config.sampleSize]
  }

  /// The median seconds of `work`, after one time that is not counted.
  private func median(_ work: () throws -> Void) throws -> Double {
    func seconds() throws -> Double { try ContinuousClock().measure(work).inSeconds }
    let first = try seconds()
    if first > patience { return first }
    var all: [Double] = []
    for _ in 0..<max(1, repeats) { all.append(try seconds()) }
    return all.median
  }
}
