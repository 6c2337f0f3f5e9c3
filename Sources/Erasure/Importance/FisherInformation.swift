public import Configuration
public import Diffusion
public import Tensors

/// The diagonal of the empirical Fisher information of a UNet on a set of prompts: for each parameter the mean, over
/// prompts and noise samples, of the squared gradient of the denoising loss MSE(noise, prediction).
///
/// The square is taken sample by sample; squaring the gradient of a batch's mean would give another, smaller quantity.
/// Each sample has a timestep t uniform over all training timesteps, standard normal noise, and a latent. The
/// publication of the diffusion variant of SSD leaves open where latents come from: see ``LatentSource``.
public struct FisherInformation {
  /// What the noise of a sample is predicted in.
  public enum LatentSource: String, CaseIterable, ConfigurationValue {
    /// The image that the model itself draws once for each prompt, noised forward to the sample's timestep.
    case generated
    /// The noise alone, whatever the timestep says; nothing is drawn.
    case gaussian
  }

  public var prompts: [String]
  public var samplesPerPrompt: Int
  /// How the clean latents are drawn.
  public var sampler: SamplerSettings
  public var seed: UInt64
  public var latentSource: LatentSource

  public init(
    prompts: [String], samplesPerPrompt: Int, sampler: SamplerSettings, seed: UInt64,
    latentSource: LatentSource = .generated
  ) {
    self.latentSource = latentSource
    self.prompts = prompts
    self.samplesPerPrompt = samplesPerPrompt
    self.sampler = sampler
    self.seed = seed
  }

  /// The drawings of clean latents, and a gradient for each sample.
  var work: ModelWork {
    let gradients = ModelWork(gradients: Double(prompts.count * samplesPerPrompt))
    return latentSource == .generated ? gradients + sampler.work(latents: prompts.count) : gradients
  }

  /// - Returns: one tensor of non-negative values for each weight of the UNet, by its name.
  public func diagonal(_ model: DiffusionModel, monitor: WorkMonitor) throws -> [String: Tensor] {
    let total = prompts.count * samplesPerPrompt
    // Drawing a clean latent takes about as long as a few samples.
    let drawn = latentSource == .generated ? prompts.count : 0
    let units = total + drawn
    let latents = drawn > 0 ? try cleanLatents(model, monitor: monitor, of: units) : []
    let states = prompts.map { model.textEncoder([model.tokenizer.encode($0)]) }
    var sums = model.unetWeights.tensors.map { Tensor.zeros($0.tensor.shape) }
    let window = model.gradientsAtATime
    for first in stride(from: 0, to: total, by: window) {
      let range = first..<min(first + window, total)
      let gradients = try parallelMap(range.count) { offset in
        let sample = first + offset
        let prompt = sample / samplesPerPrompt
        return try gradient(
          model, latent: drawn > 0 ? latents[prompt] : nil, states: states[prompt], prompt: prompts[prompt],
          sample: sample % samplesPerPrompt)
      }
      // In the order of the samples, so that the sum does not depend on how many run at a time.
      sums.withUnsafeMutableBufferPointer { sums in
        nonisolated(unsafe) let sums = sums
        parallelFor(sums.count) { index in
          for sample in gradients { sums[index].accumulateSquares(of: sample[index]) }
        }
      }
      try monitor.advance(to: drawn + range.upperBound, of: units)
    }
    let means = sums.map { $0 * (1 / Float(total)) }
    return Dictionary(zip(model.unetWeights.names, means), uniquingKeysWith: { $1 })
  }

  private func cleanLatents(_ model: DiffusionModel, monitor: WorkMonitor, of units: Int) throws -> [Tensor] {
    let drawing = try Sampler(model, sampler)
    var latents: [Tensor] = []
    try drawing.draw(
      prompts.map { ImageRequest(prompt: $0, seed: seed, repetition: 0) }, isCancelled: monitor.isCancelled
    ) { range, batch in
      latents += (0..<range.count).map { batch.slice(axis: 0, $0..<$0 + 1) }
      monitor.progress(range.upperBound, units)
    }
    return latents
  }

  private func gradient(
    _ model: DiffusionModel, latent: Tensor?, states: Tensor, prompt: String, sample: Int
  ) throws -> [Tensor] {
    // Addressed by the prompt's text: a prompt contributes the same whatever else is in the set.
    let stream = RandomStream(seed: seed, "fisher", prompt).item(sample)
    let timestep = stream.substream("timestep").integer(below: model.schedule.trainTimesteps)
    let size = model.unet.config.sampleSize
    let noise = stream.normal(latent?.shape ?? [1, model.unet.config.inChannels, size, size])
    let tape = Tape()
    let weights = model.unetWeights.tracked(on: tape)
    let unet = try UNet2DConditionModel(model.unet.config, weights)
    let noisy = latent.map { model.schedule.addNoise($0, noise: noise, timesteps: [timestep]) } ?? noise
    let predicted = unet(noisy, timesteps: [timestep], encoderHiddenStates: states)
    let loss = mseLoss(model.schedule.noise(predicted: predicted, in: noisy, timestep: timestep), noise)
    return tape.gradients(of: loss, for: weights.tensors.map(\.tensor))
  }
}
