internal import Configuration

/// What a judge answered where images were asked for concepts: one question for each concept that a prompt names.
struct Answers {
  /// For each image the concepts asked for, by their places, and whether the judge sees them.
  let byImage: [[(question: Int, isRight: Bool)]]
  private let concepts: [JudgedConcept]

  /// - Parameters:
  ///   - classes: for each image the class under each head of the judge
  ///   - concepts: what is asked about; others that prompts name are passed over
  init(_ images: [AskedImage], classes: [[Int]], about concepts: [JudgedConcept]) {
    precondition(images.count == classes.count, "\(classes.count) answers about \(images.count) images")
    self.concepts = concepts
    byImage = zip(images, classes).map { image, found in
      concepts.enumerated().filter { image.concepts.contains($0.element.name) }
        .map { ($0.offset, found[$0.element.head] == $0.element.classIndex) }
    }
  }

  /// The number of images that ask for any of the concepts.
  var count: Int { byImage.count { !$0.isEmpty } }

  /// How many images ask for each concept, and how many of these show it.
  private var shares: [(right: Int, asked: Int)] {
    var shares = [(right: Int, asked: Int)](repeating: (0, 0), count: concepts.count)
    for answer in byImage.joined() {
      shares[answer.question].asked += 1
      if answer.isRight { shares[answer.question].right += 1 }
    }
    return shares
  }

  /// The mean over the concepts that are asked for, each by its share; nil where none is.
  var mean: Double? {
    let shares = shares.filter { $0.asked > 0 }.map { Double($0.right) / Double($0.asked) }
    return shares.isEmpty ? nil : shares.reduce(0, +) / Double(shares.count)
  }

  /// Accuracy and number of images of each concept.
  var details: JSON {
    .object(
      Dictionary(
        uniqueKeysWithValues: zip(concepts, shares).filter { $0.1.asked > 0 }.map { concept, share in
          (
            concept.name,
            ["accuracy": .number(Double(share.right) / Double(share.asked)), "count": .integer(share.asked)]
          )
        }))
  }
}
