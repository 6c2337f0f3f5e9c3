public import Diffusion
internal import Shapes
internal import Tensors

/// The judge of one concept: whether an image shows it.
public struct ConceptDetector {
  /// What a judge says of an image.
  public struct Verdict: Equatable, Sendable {
    /// Whether the concept's class is the likeliest under its head.
    public let isFound: Bool
    /// The class's softmax probability, from 0 to 1.
    public let probability: Double
  }

  private let judge: AttributeJudge
  private let concept: JudgedConcept

  /// - Parameter name: who asks, for errors
  /// - Throws: ``MetricError`` where the card does not declare the concept or its judge cannot tell it.
  public init(_ concept: String, _ context: MetricContext, for name: String) throws {
    self.concept = try context.declared(concept, for: name)
    judge = try AttributeJudge(context.judge(of: self.concept, nil, for: name))
  }

  /// The folder of the concept's own judge, whose bytes decide every verdict.
  public static func folder(_ concept: String, _ context: MetricContext, for name: String) throws -> String {
    try context.judge(of: context.declared(concept, for: name), nil, for: name).folder
  }

  /// - Throws: ``MetricError`` for images of another size than the judge reads.
  public func verdicts(_ images: [RGBImage]) throws -> [Verdict] {
    let scores = judge.network.logits(features: try judge.features(images) { _ in })[concept.head]
    let classes = scores.argmaxLastAxis()
    let probabilities = scores.softmax().values
    let width = scores.shape[1]
    return images.indices.map {
      Verdict(
        isFound: classes[$0] == concept.classIndex,
        probability: Double(probabilities[$0 * width + concept.classIndex]))
    }
  }
}
