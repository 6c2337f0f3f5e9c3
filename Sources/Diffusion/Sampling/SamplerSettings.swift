/// How images are drawn; together with model, prompt and noise it determines every byte.
public struct SamplerSettings: Sendable, Equatable {
  /// Steps of the scheduler.
  public var steps: Int
  /// The scale w of classifier-free guidance (Ho and Salimans, 2022), ε(∅) + w (ε(c) - ε(∅)). At 1 or below there is
  /// one pass, with the prompt alone, as in diffusers.
  public var guidanceScale: Double
  /// What takes the place of the empty prompt in guidance.
  public var negativePrompt: String
  /// Height and width in pixels; nil for what the model was trained on.
  public var height: Int?
  public var width: Int?
  /// Nil for the one that the model's folder names.
  public var scheduler: Scheduler?
  /// η of DDIM: from 0, without noise, to 1, with that of DDPM.
  public var eta = 0.0

  public init(
    steps: Int = 50, guidanceScale: Double = 7.5, negativePrompt: String = "", height: Int? = nil, width: Int? = nil,
    scheduler: Scheduler? = nil, eta: Double = 0
  ) {
    self.steps = steps
    self.guidanceScale = guidanceScale
    self.negativePrompt = negativePrompt
    self.height = height
    self.width = width
    self.scheduler = scheduler
    self.eta = eta
  }

  /// Whether a step asks about the negative prompt as well.
  public var isGuided: Bool { guidanceScale > 1 }
}

/// One image to draw.
public struct ImageRequest: Sendable, Hashable {
  public var prompt: String
  public var seed: UInt64
  /// Tells apart the images of one prompt and seed.
  public var repetition: Int
  /// The prompt from whose noise the image starts, where it is not its own: that of an adversarial prompt is compared
  /// with the prompt it was made from.
  public var noisePrompt: String?

  public init(prompt: String, seed: UInt64, repetition: Int = 0, noisePrompt: String? = nil) {
    self.prompt = prompt
    self.seed = seed
    self.repetition = repetition
    self.noisePrompt = noisePrompt == prompt ? nil : noisePrompt
  }
}

/// How far a run has come.
public struct SamplingProgress: Sendable {
  /// Images that are finished, and images in all.
  public let finished: Int
  public let total: Int
  /// Steps done of the batch in work.
  public let step: Int
  public let steps: Int
}
