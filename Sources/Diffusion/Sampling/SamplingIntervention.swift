public import Tensors

/// What a technique of inference time changes while images are drawn. An intervention has no memory of its own: every
/// image comes out the same whatever is drawn beside it.
public struct SamplingIntervention {
  /// The hooks of the UNet's pass at a step, 0 being the noisiest.
  public var hooks: ((_ step: Int) -> UNetHooks)?
  /// What takes the place of classifier-free guidance.
  public var guidance: ConceptGuidance?
  /// The number of steps that the hooks are made for; nil where any will do.
  public var steps: Int?

  public init(hooks: ((Int) -> UNetHooks)? = nil, guidance: ConceptGuidance? = nil, steps: Int? = nil) {
    self.hooks = hooks
    self.guidance = guidance
    self.steps = steps
  }
}

/// Guidance that also asks for the noise under prompts of its own, and makes one prediction of all of them.
public struct ConceptGuidance {
  /// The noise predictions of one step, each (batch, channels, height, width).
  public struct Predictions {
    /// The step, 0 being the noisiest.
    public let step: Int
    /// Under the empty (or the negative) prompt.
    public let unconditional: Tensor
    /// Under the image's prompt.
    public let conditional: Tensor
    /// Under the prompts of the guidance, in their order.
    public let concepts: [Tensor]

    public init(step: Int, unconditional: Tensor, conditional: Tensor, concepts: [Tensor]) {
      self.step = step
      self.unconditional = unconditional
      self.conditional = conditional
      self.concepts = concepts
    }
  }

  public var prompts: [String]
  /// The noise that the step follows. What it leaves in the state, a momentum for example, it finds there at the next
  /// step of the same images.
  public var combine: (Predictions, _ state: inout Tensor?) -> Tensor

  public init(prompts: [String], combine: @escaping (Predictions, inout Tensor?) -> Tensor) {
    self.prompts = prompts
    self.combine = combine
  }
}
