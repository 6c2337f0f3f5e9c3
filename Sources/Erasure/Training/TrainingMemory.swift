/// What a technique's training holds beside the model, to tell its memory before any work.
public struct TrainingMemory: Sendable {
  public enum Kind: Sendable {
    /// The weights themselves.
    case weights
    /// The same with a moving average.
    case averagedWeights
    /// A soft mask of a value for each value of a weight.
    case masks
    /// One that all values of a row share.
    case rowMasks
  }

  /// The weights that are trained, or masked.
  public let group: ParameterGroup
  public let kind: Kind
  /// Samples of a step.
  public let samples: Int

  public init(_ kind: Kind, of group: ParameterGroup, samples: Int) {
    self.kind = kind
    self.group = group
    self.samples = samples
  }

  /// Samples whose gradients are held at a time where nothing bounds them.
  ///
  /// - Parameter weights: bytes of the group's weights
  public func samplesAtATime(_ weights: Int) -> Int { min(samples, GradientWindow.samples(ofBytes: weights)) }

  /// Bytes for so many samples at a time: what is trained, Adam's two moments and the sum of gradients, and for each
  /// sample its gradients; under masks also the masked weights and what lies between them and the masks.
  public func bytes(weights: Int, samplesAtATime: Int) -> Int {
    switch kind {
    case .weights: (4 + samplesAtATime) * weights
    case .averagedWeights: (5 + samplesAtATime) * weights
    case .masks: (4 + 6 * samplesAtATime) * weights
    case .rowMasks: 3 * samplesAtATime * weights
    }
  }
}
