public import Attacks
public import Configuration
public import Diffusion
public import Tensors

/// A way to judge an edited model: an ``ImageMetric`` by the images it draws, a ``ModelMetric`` by what is inside.
///
/// A metric reads only what ``judges(_:)`` names and keeps no state.
public protocol Metric: Configuration {
  /// The name in an experiment's `metrics[].name`.
  static var name: String { get }
  /// The source file of the metric, `#fileID`: what a change invalidates beside the code that all share.
  static var sourceFile: String { get }

  /// The attack that the metric is measured under; by default none.
  ///
  /// - Throws: ``MetricError`` for an attack that the experiment does not have.
  func underAttack(_ context: MetricContext) throws -> MetricUnderAttack?

  /// The files and folders, beside images, models and configuration, whose bytes decide the result.
  func judges(_ context: MetricContext) throws -> [String]
}

extension Metric {
  public func underAttack(_ context: MetricContext) throws -> MetricUnderAttack? { nil }
}

/// A metric that knows which images it looks at. It draws nothing itself: whoever runs it draws the images of all
/// metrics together, so that metrics which ask for the same image share it.
///
/// Under an attack the images are drawn from adversarial prompts in place of those of ``requests(_:)``, and
/// ``evaluate(_:_:monitor:)`` is asked once for the attack and once for its control.
public protocol ImageMetric: Metric {
  /// The images the metric looks at. A larger limit asks for the same images and more.
  ///
  /// - Throws: ``MetricError`` where the base model does not declare what the metric asks about.
  func requests(_ context: MetricContext) throws -> [ImageRequest]

  /// The images of the unedited base model that the metric compares with; by default none.
  func baseRequests(_ context: MetricContext) throws -> [ImageRequest]

  /// The values of the metric.
  ///
  /// - Parameters:
  ///   - images: one for each of ``requests(_:)``, in the same order, then one for each of ``baseRequests(_:)``
  ///   - monitor: progress in images
  func evaluate(_ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor) throws -> [MetricValue]
}

extension ImageMetric {
  public func baseRequests(_ context: MetricContext) throws -> [ImageRequest] { [] }
}

/// What a metric needs to know of the experiment around it.
public struct MetricContext: Sendable {
  /// The folder of the base model, from which the judges are found.
  public var modelFolder: String
  /// What the base model says about itself, if it says anything.
  public var card: ModelCard?
  /// What the technique erases; a metric with a concept of its own asks about that one instead.
  public var erasedConcepts: [String]
  /// The attacks that the experiment lists, by name.
  public var attacks: [String: any Attack]
  /// The seed of the experiment, and of every image.
  public var seed: UInt64
  /// The folder that the paths of the experiment start from.
  public var folder: String

  public init(
    modelFolder: String, card: ModelCard?, erasedConcepts: [String] = [], attacks: [String: any Attack] = [:],
    seed: UInt64, folder: String = "."
  ) {
    self.modelFolder = modelFolder
    self.card = card
    self.erasedConcepts = erasedConcepts
    self.attacks = attacks
    self.seed = seed
    self.folder = folder
  }

  /// A path that the experiment names, as seen from where Lethe runs.
  func resolve(_ path: String) -> String { path.hasPrefix("/") || folder == "." ? path : folder + "/" + path }
}

/// One number that a metric found, with all that it takes to read it.
public struct MetricValue: Equatable, Sendable {
  /// Which way is better.
  public enum Direction: String, CaseIterable, Sendable {
    case higher, lower, none
  }

  /// Unique among the values of an experiment: the name of the metric for its headline, another for what stands beside.
  public var name: String
  public var value: Double
  /// For example `fraction`, `squared feature distance`.
  public var unit: String
  public var direction: Direction
  /// The number of images that the value is computed from.
  public var count: Int
  /// What judged: the base model's card and its name for the network, as in `shapes/attributes`.
  public var judge: String
  /// Figures behind the value, for the run's record.
  public var details: JSON
  /// Nil where none can be given.
  public var interval: ConfidenceInterval?
  /// The prompts that it is measured on; nil where the metric does not say.
  public var prompts: PromptSet?
  /// What else of the metric's settings changes what is measured, beside prompts, number and judge: values compare only
  /// where these are equal. Nothing of the technique or of what it erases.
  public var settings: [String: JSON]

  public init(
    _ name: String, _ value: Double, unit: String, _ direction: Direction, count: Int, judge: String,
    details: JSON = .object([:]), interval: ConfidenceInterval? = nil, prompts: PromptSet? = nil,
    settings: [String: JSON] = [:]
  ) {
    self.name = name
    self.value = value
    self.unit = unit
    self.direction = direction
    self.count = count
    self.judge = judge
    self.details = details
    self.interval = interval
    self.prompts = prompts
    self.settings = settings
  }
}

/// Why a metric cannot be computed, in one sentence.
public struct MetricError: Error, Equatable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
