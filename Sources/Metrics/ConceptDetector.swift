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
  private let head: Int
  private let classIndex: Int

  /// - Parameters:
  ///   - name: who asks, for errors
  ///   - judge: another judge than the concept's own
  /// - Throws: ``MetricError`` where the card does not declare the concept or its judge cannot tell it.
  public init(_ concept: String, _ context: MetricContext, for name: String, judge: String? = nil) throws {
    let card = try context.requireCard(for: name)
    guard let declared = card.concept(concept) else {
      throw MetricError("\(name): the base model \"\(card.name)\" declares no concept \"\(concept)\"")
    }
    let source = try context.judge(judge ?? declared.judge.judge, for: name)
    self.judge = try AttributeJudge(source)
    (head, classIndex) = try Self.place(of: declared, on: card, for: name)
    folder = source.folder
    label = source.label
  }

  private static func place(
    of concept: ModelCard.Concept, on card: ModelCard, for name: String
  ) throws -> (head: Int, classIndex: Int) {
    let kinds = AttributeKind.allCases
    guard let head = kinds.firstIndex(where: { $0.rawValue == concept.judge.head }),
      kinds[head].classes.indices.contains(concept.judge.classIndex)
    else {
      throw MetricError(
        "\(name): the concept \"\(concept.name)\" of \"\(card.name)\" is class \(concept.judge.classIndex) of a head"
          + " \"\(concept.judge.head)\", which its judge does not have")
    }
    return (head, concept.judge.classIndex)
  }

  /// - Throws: ``MetricError`` for images of another size than the judge reads.
  public func verdicts(_ images: [RGBImage]) throws -> [Verdict] {
    let scores = judge.network.logits(features: try judge.features(images) { _ in })[head]
    let classes = scores.argmaxLastAxis()
    let probabilities = scores.softmax().values
    let width = scores.shape[1]
    return images.indices.map {
      Verdict(
        isFound: classes[$0] == classIndex, probability: Double(probabilities[$0 * width + classIndex]))
    }
  }
}
