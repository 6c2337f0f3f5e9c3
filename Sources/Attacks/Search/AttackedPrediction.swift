public import Diffusion
public import Tensors

/// The noise that a model predicts under a prompt, with all that changes its predictions while it draws: what a
/// white-box attack has to get past.
///
/// Without an intervention it is the prediction under the prompt alone. Hooks are made for the batch that a guided
/// step has, and for the step: they see that batch at the sampler's step nearest to the timestep, and the prompt's part
/// of the result is taken. A ``ConceptGuidance`` makes one prediction of all of its batch, and that one is taken.
public struct AttackedPrediction {
  public let model: DiffusionModel
  private let isGuided: Bool
  private let timesteps: [Float]
  /// The texts before the prompt in a guided batch; empty where the prompt is alone.
  private let guidance: [PreparedText]

  /// - Throws: `SamplingError` for a number of steps that the model cannot take.
  public init(_ model: DiffusionModel, _ settings: SamplerSettings) throws {
    self.model = model
    isGuided = settings.guidanceScale > 1
    timesteps = try model.architecture.scheduler.solver(
      steps: settings.steps, scheduler: settings.scheduler, eta: settings.eta
    ).timesteps
    let intervention = model.intervention
    let isChanged = intervention.hooks != nil || intervention.guidance != nil
    let prompts = isChanged && isGuided ? [settings.negativePrompt] + (intervention.guidance?.prompts ?? []) : []
    guidance = prompts.map { model.unet.prepare(text: model.textEncoder([model.tokenizer.encode($0)])) }
  }

  /// Differentiable with respect to the states.
  ///
  /// - Parameters:
  ///   - latent: x_t, (1, channels, height, width)
  ///   - states: of the prompt, (1, positions, width)
  /// - Returns: ε, a tensor of the latent's shape
  public func callAsFunction(_ latent: Tensor, timestep: Int, states: Tensor) -> Tensor {
    model.schedule.noise(predicted: output(latent, timestep, states), in: latent, timestep: timestep)
  }

  private func output(_ latent: Tensor, _ timestep: Int, _ states: Tensor) -> Tensor {
    let prompt = model.unet.prepare(text: states)
    let step = nearestStep(to: timestep)
    let output = model.unet(
      latent, time: model.unet.prepare(timesteps: [timestep]),
      text: guidance.isEmpty ? prompt : .batch(guidance + [prompt]), hooks: model.intervention.hooks?(step))
    guard !guidance.isEmpty else { return output }
    func part(_ index: Int) -> Tensor { output.slice(axis: 0, index..<index + 1) }
    guard let rule = model.intervention.guidance else { return part(1) }
    // A single step has no steps before it whose momentum it could continue.
    var state: Tensor?
    return rule.combine(
      ConceptGuidance.Predictions(
        step: step, unconditional: part(0), conditional: part(guidance.count),
        concepts: rule.prompts.indices.map { part($0 + 1) }),
      &state)
  }

  /// The step of a run whose timestep is nearest, the noisier of two.
  private func nearestStep(to timestep: Int) -> Int {
    timesteps.indices.min { abs(timesteps[$0] - Float(timestep)) < abs(timesteps[$1] - Float(timestep)) } ?? 0
  }
}
