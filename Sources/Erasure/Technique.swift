public import Configuration
public import Diffusion
internal import Foundation
public import Tensors

/// A way to erase a concept: from a model and its configuration to a ``ModelEdit``.
///
/// A technique is a configuration that knows what it costs: its estimates are computed, cached and reused one by one,
/// and the edit is made from them. It reads no file and keeps no state.
public protocol Technique: Configuration {
  /// The name in an experiment's `technique.name`.
  static var name: String { get }
  /// The publication, what kind of edit it makes, and what that costs.
  static var summary: TechniqueSummary { get }
  /// The source file of the technique, `#fileID`: what a change invalidates beside the code that all share.
  static var sourceFile: String { get }
  /// The same and those of other techniques that this one begins with; by default its own alone.
  static var sourceFiles: [String] { get }

  /// How images are drawn.
  var generation: GenerationSettings { get }

  /// A file that takes the place of the edit, where the technique has such a setting: edited UNet weights, or a pruning
  /// mask for a technique that makes nothing else.
  var loadPath: String? { get }
  /// A file of that kind that the edit is also written to.
  var savePath: String? { get }

  /// Refuses what can be seen to be wrong with the settings on a model, before anything is computed.
  func check(_ model: DiffusionModel) throws

  /// The costly quantities the edit is made from, in order; each is a stage of its own.
  func estimates(seed: UInt64) -> [Estimate]

  /// What making the edit takes beside its estimates, to tell the time beforehand; nil where nobody knows.
  var editWork: ModelWork? { get }
  /// What its training holds in memory, in an estimate or in the edit; nil where it trains none of the weights, or few.
  var trainingMemory: TrainingMemory? { get }
  /// The texts that each step of an image asks the UNet about.
  var textsPerStep: Int { get }

  /// The edit.
  ///
  /// - Throws: ``ErasureError`` for an edit that cannot be made of this model, `CancellationError` where the monitor
  ///   says so.
  func edit(_ context: EditContext) throws -> ModelEdit

  /// What drawing changes beside the weights, for a technique of such a kind; see ``changesDrawing``.
  ///
  /// - Parameters:
  ///   - model: the base model with the edit's weights
  ///   - tensors: the edit's ``ModelEdit/inferenceTensors``
  func intervention(_ model: DiffusionModel, tensors: [String: Tensor]) throws -> SamplingIntervention

  /// The UNet's weights, by name, that draw what the base model with the edit's weights draws under its hooks; nil for
  /// what weights cannot express.
  func weightsInPlaceOfHooks(_ model: DiffusionModel, tensors: [String: Tensor]) throws -> [String: Tensor]?
}

extension Technique {
  public static var sourceFiles: [String] { [sourceFile] }
  public var loadPath: String? { nil }
  public var savePath: String? { nil }

  public func check(_ model: DiffusionModel) throws {}
  public func estimates(seed: UInt64) -> [Estimate] { [] }
  public var editWork: ModelWork? { nil }
  public var trainingMemory: TrainingMemory? { nil }
  public var textsPerStep: Int { samplerSettings.isGuided ? 2 : 1 }
  public func intervention(_ model: DiffusionModel, tensors: [String: Tensor]) throws -> SamplingIntervention {
    SamplingIntervention()
  }
  public func weightsInPlaceOfHooks(
    _ model: DiffusionModel, tensors: [String: Tensor]
  ) throws -> [String: Tensor]? { nil }

  /// Whether the edit is one of inference time, so that drawing asks ``intervention(_:tensors:)``.
  public var changesDrawing: Bool { [.hook, .guidance].contains(Self.summary.kind) }

  /// Steps and guidance scale that images are drawn with.
  public var samplerSettings: SamplerSettings { generation.sampler }
}

/// A quantity that a technique computes from the base model and some of its settings, and that other settings do not
/// change: a Fisher diagonal, an attribution, a mask.
public struct Estimate {
  /// Unique within the technique, for example `fisher.forget`.
  public let name: String
  /// All that decides the result beside the base model and the code.
  public let inputs: JSON
  /// The names of estimates before this one that it is made from; what decides them is among ``inputs`` too.
  public let needs: [String]
  /// Files that decide the result too.
  public let files: [EstimateFile]
  /// What computing it takes, to tell the time beforehand; nil where nobody knows.
  public let work: ModelWork?
  /// Whether it sums gradients of all of the UNet's weights, of which that of several samples are held at a time.
  public let sumsGradients: Bool
  /// The source file that computes it, `#fileID`; techniques share an estimate that comes from a file that they share.
  public let sourceFile: String
  /// Refuses files that cannot be used, before anything is computed.
  public let check: ((EditContext) throws -> Void)?
  /// Named tensors. The context has the estimates that this one needs, and knows its files.
  public let compute: (EditContext) throws -> [String: Tensor]

  public init(
    name: String, inputs: JSON, needs: [String] = [], files: [EstimateFile] = [], work: ModelWork? = nil,
    sumsGradients: Bool = false, sourceFile: String = #fileID, check: ((EditContext) throws -> Void)? = nil,
    compute: @escaping (EditContext) throws -> [String: Tensor]
  ) {
    self.name = name
    self.inputs = inputs
    self.needs = needs
    self.files = files
    self.work = work
    self.sumsGradients = sumsGradients
    self.sourceFile = sourceFile
    self.check = check
    self.compute = compute
  }
}

/// A file that decides an estimate.
public enum EstimateFile: Hashable, Sendable {
  /// As the configuration names it.
  case named(String)
  /// The sparse autoencoder that the base model declares for a layer.
  case declaredAutoencoder(layer: String)
}

/// What an estimate or an edit is made from.
public struct EditContext {
  /// The base model.
  public let model: DiffusionModel
  /// The tensors of each estimate by its name.
  public let estimates: [String: [String: Tensor]]
  public let seed: UInt64
  public let monitor: WorkMonitor
  /// A file that long work may leave its state in, to go on from there after an interruption. Whoever asked for the
  /// result keeps the file for it alone, and removes it once the result is there.
  public let stateFile: String?
  /// Where the files of an estimate lie.
  public let files: [EstimateFile: String]
  /// The digest of the base model's files, by which other files name it; nil where nobody asked for it.
  public let modelDigest: String?

  public init(
    model: DiffusionModel, estimates: [String: [String: Tensor]] = [:], seed: UInt64,
    monitor: WorkMonitor = WorkMonitor(), stateFile: String? = nil, files: [EstimateFile: String] = [:],
    modelDigest: String? = nil
  ) {
    self.model = model
    self.estimates = estimates
    self.seed = seed
    self.monitor = monitor
    self.stateFile = stateFile
    self.files = files
    self.modelDigest = modelDigest
  }
}

extension EditContext {
  /// The tensors of an estimate.
  ///
  /// - Throws: ``ErasureError`` where they were not handed over.
  public func estimate(_ name: String) throws -> [String: Tensor] {
    guard let tensors = estimates[name] else { throw ErasureError("the estimate '\(name)' was not handed over") }
    return tensors
  }

  /// Where a file lies.
  ///
  /// - Throws: ``ErasureError`` where that was not handed over.
  public func path(of file: EstimateFile) throws -> String {
    guard let path = files[file] else { throw ErasureError("\(file) was not handed over") }
    return path
  }
}

extension EditContext {
  /// The ``stateFile``, where an interruption has left one.
  var savedState: String? { stateFile.flatMap { FileManager.default.fileExists(atPath: $0) ? $0 : nil } }

  /// Has the state written to the ``stateFile``, if there is to be one.
  func saveState(_ write: (String) throws -> Void) throws {
    guard let stateFile else { return }
    try WholeFile.makeFolder(URL(fileURLWithPath: stateFile).deletingLastPathComponent().path)
    try write(stateFile)
  }
}

/// What a technique hands on: what it changes in the model, and what it has to say about that.
public struct ModelEdit {
  /// By the names of the UNet's weights; what is not named stays as it is.
  public var replacedUNetTensors: [String: Tensor]
  /// By the names of the text encoder's weights; what is not named stays as it is.
  public var replacedTextEncoderTensors: [String: Tensor]
  /// Elements of the UNet's weights that are zero, after tensors are replaced.
  public var pruned: PruningMask
  /// What ``Technique/intervention(_:tensors:)`` needs to draw, by names of the technique's own.
  public var inferenceTensors: [String: Tensor]
  /// Figures about the edit for the run's record, such as the share of parameters changed.
  public var details: JSON

  public init(
    replacedUNetTensors: [String: Tensor] = [:], replacedTextEncoderTensors: [String: Tensor] = [:],
    pruned: PruningMask = PruningMask(), inferenceTensors: [String: Tensor] = [:], details: JSON = .object([:])
  ) {
    self.replacedUNetTensors = replacedUNetTensors
    self.replacedTextEncoderTensors = replacedTextEncoderTensors
    self.pruned = pruned
    self.inferenceTensors = inferenceTensors
    self.details = details
  }

  /// The base model with the edit's weights.
  ///
  /// - Throws: `ModelFolderError` for a tensor that the model does not have, ``ErasureError`` for a mask of another
  ///   model.
  public func applied(to model: DiffusionModel) throws -> DiffusionModel {
    var edited = model
    if !replacedTextEncoderTensors.isEmpty {
      edited = try edited.replacingTextEncoderWeights(replacedTextEncoderTensors)
    }
    if !replacedUNetTensors.isEmpty { edited = try edited.replacingUNetWeights(replacedUNetTensors) }
    return try pruned.isEmpty ? edited : edited.replacingUNetWeights(pruned.applied(to: edited.unetWeights))
  }
}

/// What `lethe techniques` says of a technique beside its configuration.
public struct TechniqueSummary: Sendable {
  /// What an edit consists of.
  public enum Kind: String, Sendable {
    case none, weights, mask, hook, guidance
  }

  public var kind: Kind
  /// The name in full, or what it does.
  public var title: String
  /// Authors, venue and arXiv number.
  public var paper: String
  /// The work in passes of the UNet.
  public var cost: String

  public init(_ kind: Kind, _ title: String, paper: String, cost: String) {
    self.kind = kind
    self.title = title
    self.paper = paper
    self.cost = cost
  }
}
