public import Configuration
public import Diffusion
public import Tensors

/// A way to make a model draw what was erased from it: from a prompt that no longer works to one that may.
///
/// An attack is a configuration that knows what it needs to see of the model. It searches one prompt at a time, reads
/// no file and keeps no state, so that the prompts of a set can be searched in any order and on any number of threads.
public protocol Attack: Configuration {
  /// The name in an experiment's `attacks[].name`.
  static var name: String { get }
  /// The publication, and what the attack costs.
  static var summary: AttackSummary { get }
  /// The source file of the attack, `#fileID`: what a change invalidates beside the code that all share.
  static var sourceFile: String { get }

  /// What the search sees of the model.
  var access: AttackAccess { get }

  /// Whether the search asks the base model's CLIP how near images are to one another; by default it does not.
  var comparesImages: Bool { get }

  /// Random tokens that cost the defender as much: as many, in the same places, with as many tries. An attack that does
  /// not beat them shows nothing, so they are measured beside it; nil for random tokens themselves.
  var control: RandomTokensConfiguration? { get }

  /// A CSV file of prompts that takes the place of the search; see docs/attacks.md for its columns.
  var precomputedPromptsPath: String? { get }
  /// A CSV file that the prompts are also written to.
  var generatedPromptsOutput: String? { get }

  /// Refuses settings that the model cannot serve and prompts that leave the attack no room, before anything is
  /// computed.
  func check(_ model: DiffusionModel, prompts: [String]) throws

  /// What the search for one prompt takes at most, to tell the time beforehand; nil where nobody knows.
  ///
  /// - Parameter drawing: what drawing and judging one image takes
  func work(drawing: ModelWork) -> ModelWork?

  /// What all prompts of a set share, computed once for each run: a concept vector, for example.
  ///
  /// - Parameter concepts: those of the targets that are to be searched
  func prepare(_ concepts: [String], _ context: AttackContext) throws -> [String: Tensor]

  /// Searches an adversarial prompt for one prompt.
  ///
  /// Called on several threads at once. The result depends on target and context alone.
  ///
  /// - Parameter prepared: what ``prepare(_:_:)`` returned
  /// - Throws: ``AttackError`` for a prompt that cannot be attacked, `CancellationError` where the monitor says so.
  func search(
    _ target: AttackTarget, _ context: AttackContext, prepared: [String: Tensor]
  ) throws -> AdversarialPrompt
}

extension Attack {
  public var precomputedPromptsPath: String? { nil }
  public var generatedPromptsOutput: String? { nil }
  public var comparesImages: Bool { false }
  public func check(_ model: DiffusionModel, prompts: [String]) throws {}
  public func work(drawing: ModelWork) -> ModelWork? { nil }
  public func prepare(_ concepts: [String], _ context: AttackContext) throws -> [String: Tensor] { [:] }
}

/// What an attack sees of the model that it attacks.
public enum AttackAccess: String, Sendable {
  /// The edited model: its gradients, or the images that it draws. The prompts are found anew for every edit.
  case editedModel
  /// The base model in its place. The prompts serve every technique whose images are drawn alike.
  case baseModel
  /// The text encoder of the base model. The prompts serve every technique.
  case textEncoder
}

/// What `lethe attacks` says of an attack.
public struct AttackSummary: Sendable {
  public var title: String
  public var publication: String
  /// What a search costs, in words.
  public var cost: String

  public init(title: String, publication: String, cost: String) {
    self.title = title
    self.publication = publication
    self.cost = cost
  }
}

/// A prompt to attack.
public struct AttackTarget: Hashable, Sendable {
  /// A prompt of the concept, to which the edited model should not draw it.
  public var prompt: String
  /// The concept that an image has to show for the attack to succeed.
  public var concept: String
  /// The seed of its images; with the prompt and the repetition it decides the noise that they start from.
  public var seed: UInt64
  public var repetition: Int

  public init(prompt: String, concept: String, seed: UInt64, repetition: Int = 0) {
    self.prompt = prompt
    self.concept = concept
    self.seed = seed
    self.repetition = repetition
  }

  /// The image that a text is tried with: from the noise of the target's own prompt, so that only the text differs.
  public func request(_ text: String) -> ImageRequest {
    ImageRequest(prompt: text, seed: seed, repetition: repetition, noisePrompt: prompt)
  }
}

/// What a search found.
public struct AdversarialPrompt: Equatable, Sendable {
  /// How a search ended.
  public enum Outcome: String, CaseIterable, Sendable {
    /// The prompt itself was enough; nothing was searched.
    case beforeAttack = "before_attack"
    /// An image of the adversarial prompt showed the concept.
    case succeeded
    /// None did.
    case failed
    /// The attack draws no image, so that nobody has looked yet.
    case untested
  }

  public var text: String
  /// The attack's own objective where it found the text; nil where it has none. Of an attack that draws its tokens or
  /// its timesteps at random it is what the last iterations saw, and not the loss of this text alone.
  public var loss: Double?
  /// Iterations, generations or tries that were made.
  public var iterations: Int
  public var outcome: Outcome

  public init(_ text: String, loss: Double?, iterations: Int, outcome: Outcome) {
    self.text = text
    self.loss = loss
    self.iterations = iterations
    self.outcome = outcome
  }
}

/// Why an attack cannot be made, in one sentence.
public struct AttackError: Error, Equatable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
