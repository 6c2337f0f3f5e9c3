public import Configuration
public import Diffusion
public import Tensors

/// A way to erase a concept: from a model and its configuration to a ``ModelEdit``.
///
/// A technique is a configuration that knows what it costs: its estimates are computed, cached and reused one by one,
/// and the edit is made from them. It reads no file and keeps no state.
public protocol Technique: Configuration {
  /// The name in an experiment's `technique.name`.
  static var name: String { get }
  /// The source file of the technique, `#fileID`: what a change invalidates beside the code that all share.
  static var sourceFile: String { get }

  /// DDIM steps and guidance scale of generation, where the experiment or the base model names them.
  var numInferenceSteps: Int? { get }
  var guidanceScale: Double? { get }
  /// Whether generation keeps the weights in half precision; arithmetic stays in float32.
  var useFP16: Bool { get }

  /// A file of edited UNet weights that takes the place of the edit, where the technique has such a setting.
  var loadPath: String? { get }
  /// A file that the edited UNet weights are also written to.
  var savePath: String? { get }

  /// The costly quantities the edit is made from, in order; each is a stage of its own.
  func estimates(seed: UInt64) -> [Estimate]

  /// The edit.
  ///
  /// - Parameters:
  ///   - model: the base model
  ///   - estimates: the tensors of each estimate by its name
  func edit(
    _ model: DiffusionModel, estimates: [String: [String: Tensor]], seed: UInt64, monitor: WorkMonitor
  ) throws -> ModelEdit
}

extension Technique {
  public var loadPath: String? { nil }
  public var savePath: String? { nil }

  /// How images of this technique are drawn; what nobody names has the source documents' defaults.
  public var samplerSettings: SamplerSettings {
    SamplerSettings(steps: numInferenceSteps ?? 50, guidanceScale: guidanceScale ?? 7.5)
  }
}

/// A quantity that a technique computes from the base model and some of its settings, and that other settings do not
/// change: a Fisher diagonal, an attribution, a mask.
public struct Estimate {
  /// Unique within the technique, for example `fisher.forget`.
  public let name: String
  /// All that decides the result beside the base model and the code.
  public let inputs: JSON
  /// Named tensors.
  public let compute: (DiffusionModel, WorkMonitor) throws -> [String: Tensor]

  public init(
    name: String, inputs: JSON, compute: @escaping (DiffusionModel, WorkMonitor) throws -> [String: Tensor]
  ) {
    self.name = name
    self.inputs = inputs
    self.compute = compute
  }
}

/// What a technique hands on: the tensors of the UNet that it replaces, and what it has to say about them.
public struct ModelEdit {
  /// By the names of the UNet's weights; what is not named stays as it is.
  public var replacedUNetTensors: [String: Tensor]
  /// Figures about the edit for the run's record, such as the share of parameters changed.
  public var details: JSON

  public init(replacedUNetTensors: [String: Tensor] = [:], details: JSON = .object([:])) {
    self.replacedUNetTensors = replacedUNetTensors
    self.details = details
  }
}
