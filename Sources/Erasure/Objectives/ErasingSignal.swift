public import Configuration
public import Diffusion
public import Tensors

/// δ, what carries a concept's guided prediction over to that of its replacement (Hong, Lee and Woo, AAAI 2024,
/// arXiv 2312.12807): what a frozen model adds to classifier-free guidance under a prompt.
public struct ErasingSignal {
  /// Where δ comes from.
  public enum Source {
    /// There is none: the guidance of the prompt alone.
    case none
    /// From the noise under instruction concepts, the strongest parts of each (after Semantic Guidance, Brack et al.,
    /// 2023).
    case explicit([InstructionConcept], Windows)
    /// From the noise under the same prompt with the attention to some of its tokens multiplied by a factor (after
    /// Prompt-to-Prompt, Hertz et al., 2023).
    case implicit(prompt: String, positions: [Int], factor: Float)
  }

  /// When instruction concepts count.
  public struct Windows {
    /// T, the steps of a run; τ counts down from T, the noisiest, to 1.
    public var steps: Int
    public var warmup: Int
    /// Whether the warm-up leaves out the first steps that are executed, and not the last of the countdown.
    public var countsElapsed: Bool

    public init(steps: Int, warmup: Int, countsElapsed: Bool) {
      self.steps = steps
      self.warmup = warmup
      self.countsElapsed = countsElapsed
    }

    /// Whether a concept counts at a step, 0 being the noisiest.
    public func isActive(_ concept: InstructionConcept, step: Int) -> Bool {
      let countdown = steps - step
      let high = Int((concept.high * Double(steps)).rounded(.down))
      let low = Int((concept.low * Double(steps)).rounded(.down))
      return high <= countdown && countdown <= low && (countsElapsed ? step : countdown) >= warmup
    }
  }

  public let source: Source
  /// γ1, the guidance scale of the prompt.
  public let scale: Float

  public init(_ source: Source, scale: Float) {
    self.source = source
    self.scale = scale
  }

  /// The prompts that δ needs the noise under.
  public var prompts: [String] {
    switch source {
    case .none: []
    case .explicit(let concepts, _): concepts.map(\.prompt)
    case .implicit(let prompt, _, _): [prompt]
    }
  }

  /// γ1 (ε(c) - ε(∅)) + δ at a step, 0 being the noisiest; all of shape (batch, channels, height, width).
  ///
  /// - Parameter concepts: the noise under ``prompts``, in their order
  public func direction(step: Int, unconditional: Tensor, conditional: Tensor, concepts: [Tensor]) -> Tensor {
    let guidance = (conditional - unconditional) * scale
    switch source {
    case .none: return guidance
    case .implicit: return guidance + (concepts[0] - conditional) * scale
    case .explicit(let instructions, let windows):
      return zip(instructions, concepts).reduce(guidance) { sum, pair in
        let (instruction, noise) = pair
        guard windows.isActive(instruction, step: step) else { return sum }
        return sum + instruction.signal(noise - unconditional)
      }
    }
  }

  /// What draws under the signal: its guidance, and the attention that it changes.
  public var intervention: SamplingIntervention {
    let guidance = ConceptGuidance(prompts: prompts) { predictions, _ in
      predictions.unconditional
        + direction(
          step: predictions.step, unconditional: predictions.unconditional, conditional: predictions.conditional,
          concepts: predictions.concepts)
    }
    return SamplingIntervention(hooks: hooks.map { hooks in { _ in hooks } }, guidance: guidance)
  }

  /// What a pass over the empty prompt, ``prompts`` and the prompt, in this order, is changed by.
  public var hooks: UNetHooks? {
    guard case .implicit(_, let positions, let factor) = source else { return nil }
    var hooks = UNetHooks()
    hooks.crossAttentionProbabilities = { _, probabilities in
      // The three texts take equal shares of the first axis; the one in the middle is attended to differently.
      let (rows, tokens) = (probabilities.shape[0], probabilities.shape[2])
      let factors = Tensor.make([rows, 1, tokens]) { values in
        for at in values.indices {
          let isMiddle = (rows / 3..<2 * rows / 3).contains(at / tokens)
          values[at] = isMiddle && positions.contains(at % tokens) ? factor : 1
        }
      }
      return probabilities * factors
    }
    return hooks
  }
}

/// A concept that δ is made of: one of the paper's C_I (equation 23).
public struct InstructionConcept: Configuration {
  public var prompt = ""
  /// g: negative leads away from the concept, positive to it.
  public var guidance = 6.5
  /// κ: the share of positions whose change is too small to count.
  public var percentile = 0.95
  /// Shares of the run, counted from its clean end, between which the concept counts.
  public var high = 0.35
  public var low = 1.0

  public init() {}

  public static let fields: [Field<InstructionConcept>] = [
    Field("prompt", \.prompt, .notEmpty, "The instruction concept", source: paper, role: .phrase),
    Field(
      "guidance", \.guidance, "Its guidance scale: negative leads away from the concept, positive to it",
      source: paper),
    Field(
      "percentile", \.percentile, .between(0...1),
      "The share of latent positions, in each channel, whose change is too small to count", source: paper),
    Field(
      "t_high", \.high, .between(0...1),
      "The share of the run, counted from its clean end, below which it is left out", source: paper),
    Field(
      "t_low", \.low, .between(0...1),
      "The share of the run, counted from its clean end, above which it is left out", source: paper),
  ]

  /// g β ⊙ Δ: of a change Δ, (batch, channels, height, width), what reaches the κ-quantile of |Δ| in its item and
  /// channel, scaled; the rest is zero.
  public func signal(_ change: Tensor) -> Tensor {
    let area = change.shape[2] * change.shape[3]
    return Tensor.make(change.shape) { out in
      change.withUnsafeValues { values in
        for start in stride(from: 0, to: values.count, by: area) {
          let map = values[start..<start + area]
          let threshold = quantile(map.map(abs), percentile)
          for at in map.indices { out[at] = abs(values[at]) >= threshold ? Float(guidance) * values[at] : 0 }
        }
      }
    }
  }
}

private let paper = "arXiv 2312.12807, equation 23"
