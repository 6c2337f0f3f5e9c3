import Attacks
import TestSupport
import Tensors
import Testing

@Suite("Token distribution") struct TokenDistributionTests {
  private func projected(_ values: [Float]) -> [Float] {
    var values = values
    values.withUnsafeMutableBufferPointer { projectOntoSimplex($0) }
    return values
  }

  @Test("the projection of two values is the one that paper and pencil give")
  func pair() {
    let found = projected([0.5, 0.9])
    #expect(abs(found[0] - 0.3) < 1e-5 && abs(found[1] - 0.7) < 1e-5)
    #expect(projected([5, 0, 0]) == [1, 0, 0])
  }

  @Test("a projection is on the simplex, keeps the order and leaves a point of the simplex where it is")
  func invariants() {
    for count in [1, 2, 7, 883, 20_000] {
      let stream = RandomStream(seed: 1, "values").item(count)
      for scale: Float in [1e-4, 1, 100] {
        let values = stream.normal([count]).values.map { $0 * scale }
        let found = projected(values)
        #expect(abs(found.reduce(0.0) { $0 + Double($1) } - 1) < 2e-5, "\(count) values of scale \(scale)")
        #expect(found.allSatisfy { $0 >= 0 && $0 <= 1 })
        let order = values.indices.sorted { values[$0] < values[$1] }
        #expect(zip(order, order.dropFirst()).allSatisfy { found[$0] <= found[$1] })
        #expect(zip(projected(found), found).allSatisfy { abs($0 - $1) < 1e-5 })
      }
    }
  }

  @Test("the gradient behind a draw is limited to -1 ... 1")
  func straightThrough() {
    let gradient = Tensor([-3, -1, -0.25, 0, 0.5, 1, 40], shape: [1, 7])
    #expect(straightThroughGradient(gradient).values == [-1, -1, -0.25, 0, 0.5, 1, 1])
  }

  @Test("three steps of Adam, each projected, are those of PyTorch")
  func steps() throws {
    let file = try Fixtures.tensors("attacks.safetensors")
    let distribution = TokenDistribution(
      try file.tensor("unlearn_diff.start"), learningRate: 0.01, weightDecay: 0.1)
    let gradient = try file.tensor("unlearn_diff.gradient") * file.tensor("unlearn_diff.scale").item
    for _ in 0..<3 { distribution.step(gradient) }
    let expected = try file.tensor("unlearn_diff.stepped")
    #expect(relativeError(distribution.probabilities, expected) < 1e-4)
    #expect(distribution.mostProbable == expected.argmaxLastAxis())
  }

  @Test("draws follow the probabilities, and nothing is drawn that has none")
  func sampling() {
    let start = Tensor([0.5, 0, 0.2, 0.3, 0, 0, 0, 1], shape: [2, 4])
    let distribution = TokenDistribution(start, learningRate: 0.01, weightDecay: 0)
    let stream = RandomStream(seed: 4, "draws")
    var counts = [Int](repeating: 0, count: 4)
    for index in 0..<4000 {
      let drawn = distribution.sample(stream.item(index))
      #expect(drawn[1] == 3)
      counts[drawn[0]] += 1
    }
    #expect(counts[1] == 0)
    #expect(abs(Double(counts[0]) / 4000 - 0.5) < 0.03 && abs(Double(counts[2]) / 4000 - 0.2) < 0.03)
    #expect(distribution.sample(stream.item(9)) == distribution.sample(stream.item(9)))
  }
}
