import Foundation
import Tensors
import TestSupport
import Testing

/// Serialised: the number of threads is a setting of the whole process.
@Suite("Determinism", .serialized)
struct DeterminismTests {
  /// A network that uses every operator of inference and training, large enough to be split over threads.
  private func pass(_ images: Tensor, tape: Tape? = nil) -> (output: Tensor, gradients: [Tensor]) {
    let stream = RandomStream(seed: 9, "network")
    func weight(_ item: Int, _ shape: [Int]) -> Tensor {
      let value = stream.item(item).normal(shape) * (1 / Float(shape.dropFirst().reduce(1, *)).squareRoot())
      return tape?.watch(value) ?? value
    }
    let batch = images.shape[0]
    let weights = [
      weight(0, [24, 3, 3, 3]), weight(1, [24]), weight(2, [24]), weight(3, [24]), weight(4, [24, 24, 3, 3]),
      weight(5, [48, 24]), weight(6, [24, 24]), weight(7, [24, 24]), weight(8, [24, 24]), weight(9, [5, 24, 1, 1]),
    ]
    var x = conv2d(images, weight: weights[0], bias: weights[1], padding: 1)
    x = groupNorm(x, groups: 4, weight: weights[2], bias: weights[3]).silu()
    x = conv2d(x, weight: weights[4], stride: 2, padding: 1)
    let (height, width) = (x.shape[2], x.shape[3])
    var tokens = x.reshaped([batch, 24, height * width]).transposedLast()
    tokens = layerNorm(tokens, weight: weights[2], bias: weights[3])
    tokens = tokens + attention(
      query: linear(tokens, weight: weights[6]), key: linear(tokens, weight: weights[7]),
      value: linear(tokens, weight: weights[8], bias: weights[1]), heads: 4)
    tokens = linear(tokens, weight: weights[5]).geglu() + tokens.gelu()
    x = upsampleNearest2x(tokens.transposedLast().reshaped([batch, 24, height, width])) * 0.5
    let output = conv2d(x, weight: weights[9]).softmax()
    guard let tape else { return (output, []) }
    return (output, tape.gradients(of: mseLoss(output, Tensor.zeros(output.shape)), for: weights))
  }

  private let images = RandomStream(seed: 10, "images").normal([5, 3, 40, 24])

  @Test("the number of threads changes no bit of values and gradients")
  func threads() {
    let before = Parallel.threadCount
    defer { Parallel.threadCount = before }
    Parallel.threadCount = 1
    let expected = pass(images, tape: Tape())
    for count in [2, 3, 7] {
      Parallel.threadCount = count
      let result = pass(images, tape: Tape())
      #expect(bits(result.output) == bits(expected.output), "\(count) threads")
      for (index, (gradient, other)) in zip(result.gradients, expected.gradients).enumerated() {
        #expect(bits(gradient) == bits(other), "gradient \(index) with \(count) threads")
      }
    }
  }

  @Test("on one thread the caller's takes every item")
  func oneThread() throws {
    let before = Parallel.threadCount
    defer { Parallel.threadCount = before }
    Parallel.threadCount = 3
    let threads = try Parallel.onOneThread {
      // Long enough for others to come, if any were asked.
      try parallelMap(32) { _ in
        usleep(1000)
        return pthread_self()
      }
    }
    #expect(Set(threads) == [pthread_self()])
  }

  @Test("an item has the same bytes alone as in a batch of five")
  func batches() {
    let together = pass(images).output
    for item in 0..<5 {
      let alone = pass(images.slice(axis: 0, item..<item + 1)).output
      #expect(bits(alone) == bits(together.slice(axis: 0, item..<item + 1)), "item \(item)")
    }
  }

  @Test("a tape changes no bit of the values")
  func tapes() {
    #expect(bits(pass(images).output) == bits(pass(images, tape: Tape()).output))
  }

  @Test("every item of a parallel loop runs once, and the error of the lowest one is thrown")
  func loops() throws {
    struct Failure: Error, Equatable { let item: Int }
    #expect(try parallelMap(1000) { $0 * 2 } == (0..<1000).map { $0 * 2 })
    #expect(try parallelMap(0) { $0 }.isEmpty)
    let error = #expect(throws: Failure.self) {
      try parallelMap(100) { if $0 % 30 == 7 { throw Failure(item: $0) } }
    }
    #expect(error == Failure(item: 7))
    let nested = try parallelMap(4) { outer in try parallelMap(3) { outer * 3 + $0 } }
    #expect(nested.flatMap { $0 } == Array(0..<12))
  }

  @Test("values that are not numbers are not lost on the way")
  func notANumber() {
    let x = Tensor([1, .nan, -2, 3], shape: [1, 4])
    for (name, y) in [
      ("silu", x.silu()), ("gelu", x.gelu()), ("quick gelu", x.quickGELU()), ("exp", x.exp()), ("sigmoid", x.sigmoid()),
      ("tanh", x.tanh()), ("relu", x.relu()), ("softmax", x.softmax()), ("log softmax", x.logSoftmax()),
      ("layer norm", layerNorm(x, weight: Tensor.ones([4]), bias: Tensor.zeros([4]))), ("sum", x.sum()),
      ("geglu", Tensor([1, 2, .nan, 3], shape: [1, 4]).geglu()),
    ] {
      #expect(y.values.contains { $0.isNaN }, "\(name)")
    }
  }
}
