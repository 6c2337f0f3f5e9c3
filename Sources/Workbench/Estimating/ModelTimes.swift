internal import Diffusion

/// How far the timing of a model is. A pass cannot tell on its way how far it has come, so that this says what to
/// expect of the one that begins.
public struct TimingProgress: Equatable, Sendable {
  /// The model as its experiment names it.
  public let model: String
  /// The seconds that what begins now will take, as far as can be told, and those of all that comes after it.
  public let expected, after: Double

  /// Whether all is timed that was asked for.
  public var isDone: Bool { expected == 0 && after == 0 }
}

/// The times of the models that have been asked about: each is loaded and timed once.
public final class ModelTimes {
  private var known: [String: PartTimes] = [:]
  private let progress: (TimingProgress) -> Void

  public init(progress: @escaping (TimingProgress) -> Void = { _ in }) { self.progress = progress }

  func times(of base: BaseModel, load: () throws -> DiffusionModel) rethrows -> PartTimes {
    if let times = known[base.identity] { return times }
    let times = PartTimes(try load(), name: base.name, progress: progress)
    known[base.identity] = times
    return times
  }
}
