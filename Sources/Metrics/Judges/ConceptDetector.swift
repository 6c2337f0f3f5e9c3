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

  /// The folder of the judge, whose bytes decide every verdict.
  public let folder: String
  /// What values say they were judged by.
  public let label: String
  private let judge: AttributeJudge
  private let concept: JudgedConcept

  /// - Parameters:
  ///   - name: who asks, for errors
  ///   - judge: another judge than the concept's own
  /// - Throws: ``MetricError`` where the card does not declare the concept or its judge cannot tell it.
  public init(_ concept: String, _ context: MetricContext, for name: String, judge: String? = nil) throws {
    self.concept = try context.declared(concept, for: name)
    let source = try context.judge(of: self.concept, judge, for: name)
    self.judge = try AttributeJudge(source)
    folder = source.folder
    label = source.label
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
