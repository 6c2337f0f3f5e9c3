public import Configuration
internal import Diffusion
internal import Shapes
internal import Tensors

/// Who says whether an image shows a concept.
public enum Judging: String, CaseIterable, ConfigurationValue {
  /// The head of an attribute judge that knows the concept.
  case classifier
  /// A CLIP model, by which of two texts is nearer to the image.
  case twoWayCLIP = "two_way_clip"
}

/// A concept of the card, with the place where an attribute judge answers for it.
struct JudgedConcept {
  let concept: ModelCard.Concept
  /// The head that knows the concept, and its position among the heads.
  let kind: AttributeKind
  let head: Int

  var name: String { concept.name }
  /// The class under the head.
  var classIndex: Int { concept.judge.classIndex }
}

extension MetricContext {
  /// The one concept that a metric asks about: the one that it names, else the one that the technique erases.
  ///
  /// - Parameter key: the setting that names it, for errors
  /// - Throws: ``MetricError`` where none is named or several are, or the card does not declare it.
  func concept(_ names: ConceptNames?, for metric: String, key: String = "concept_name") throws -> JudgedConcept {
    let named = names?.names ?? erasedConcepts
    guard named.count < 2 else {
      throw MetricError(
        "\(metric): it asks about one concept, and \(named.map { "\"\($0)\"" }.joined(separator: " and ")) are erased; "
          + "\(key) says which")
    }
    _ = try requireCard(for: metric)
    guard let name = named.first else {
      throw MetricError("\(metric): no concept is named, by the metric or by the technique")
    }
    return try declared(name, for: metric)
  }

  /// The concept of that name.
  ///
  /// - Throws: ``MetricError`` where the card does not declare it.
  func declared(_ name: String, for metric: String) throws -> JudgedConcept {
    let card = try requireCard(for: metric)
    guard let concept = card.concept(name) else { throw undeclared(name, for: metric, card) }
    return try judged(concept, for: metric)
  }

  func undeclared(_ name: String, for metric: String, _ card: ModelCard) -> MetricError {
    MetricError(
      "\(metric): the base model \"\(card.name)\" declares no concept \"\(name)\""
        + suggestion(for: name, among: card.concepts.map(\.name)))
  }

  /// - Throws: ``MetricError`` where the card names a head or class that the judge does not have.
  func judged(_ concept: ModelCard.Concept, for metric: String) throws -> JudgedConcept {
    let kinds = AttributeKind.allCases
    guard let head = kinds.firstIndex(where: { $0.rawValue == concept.judge.head }),
      kinds[head].classes.indices.contains(concept.judge.classIndex)
    else {
      throw MetricError(
        "\(metric): the concept \"\(concept.name)\" of \(modelFolder)/\(ModelCard.fileName) is judged by class "
          + "\(concept.judge.classIndex) of a head \"\(concept.judge.head)\"; the judge has "
          + kinds.map { "\($0.rawValue) of \($0.classes.count)" }.joined(separator: ", "))
    }
    return JudgedConcept(concept: concept, kind: kinds[head], head: head)
  }

  /// The judge of that name, else the one that the card names for the concept.
  func judge(of concept: JudgedConcept, _ name: String?, for metric: String) throws -> NamedJudge {
    try judge(name ?? concept.concept.judge.judge, for: metric)
  }

  /// What the concept is told apart from: the others of its kind, or, since the mark has none, all others.
  func others(than concept: JudgedConcept, for metric: String) throws -> [JudgedConcept] {
    let all = try requireCard(for: metric).concepts(otherThan: [concept.name] + erasedConcepts)
    let same = all.filter { $0.kind == concept.concept.kind }
    return try (same.isEmpty ? all : same).map { try judged($0, for: metric) }
  }
}

extension AttributeJudge {
  /// The probability of each concept in each image, by the softmax of its head: `[image][concept]`.
  ///
  /// - Parameter advance: called after each batch with the number of images done
  func probabilities(
    of concepts: [JudgedConcept], in images: [RGBImage], advance: (Int) throws -> Void
  ) throws -> [[Double]] {
    let shares = network.logits(features: try features(images, advance: advance)).map { $0.softmax() }
    let columns = concepts.map { concept in
      let head = shares[concept.head]
      return images.indices.map { Double(head.values[$0 * head.shape[1] + concept.classIndex]) }
    }
    return images.indices.map { image in columns.map { $0[image] } }
  }
}

extension Field {
  static func threshold(_ path: any WritableKeyPath<Root, Double> & Sendable, source: String = "") -> Field {
    Field(
      "threshold", path, .between(0...1), "How sure the judge must be of a concept to have found it, from 0 to 1",
      source: source)
  }

  static func judgeOfConcept(_ path: any WritableKeyPath<Root, String?> & Sendable) -> Field {
    Field("judge", path, .notEmpty, "The judge to ask, of those the base model names; the concept's own if unset")
  }
}
