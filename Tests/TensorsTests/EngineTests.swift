import Tensors
import TestSupport
import Testing

/// Sizes at which products have edges, convolutions several groups of tiles and attention several blocks of sources,
/// beside the plainest way to compute the same.
@Suite("Products, convolutions and attention at sizes with edges")
struct EngineTests {
  private let stream = RandomStream(seed: 11, "engine")

  struct Size: Sendable, CustomTestStringConvertible {
    let batch, inputs, outputs, height, width, padding: Int
    var testDescription: String { "\(batch) x \(inputs) -> \(outputs), \(height) x \(width), padding \(padding)" }
  }

  /// The first is below the size where minimal filtering pays; the next ones are small maps, down to tiles of two values,
  /// and the last of those has more filters than are kept.
  static let sizes = [
    Size(batch: 2, inputs: 3, outputs: 2, height: 3, width: 5, padding: 1),
    Size(batch: 18, inputs: 5, outputs: 35, height: 4, width: 4, padding: 1),
    Size(batch: 2, inputs: 33, outputs: 3, height: 5, width: 6, padding: 1),
    Size(batch: 3, inputs: 16, outputs: 48, height: 7, width: 9, padding: 0),
    Size(batch: 2, inputs: 4, outputs: 7, height: 16, width: 4, padding: 1),
    Size(batch: 5, inputs: 7, outputs: 20, height: 16, width: 16, padding: 1),
    Size(batch: 2, inputs: 260, outputs: 230, height: 4, width: 5, padding: 1),
    Size(batch: 1, inputs: 3, outputs: 2, height: 18, width: 17, padding: 0),
    Size(batch: 3, inputs: 5, outputs: 4, height: 8, width: 8, padding: 1),
    Size(batch: 2, inputs: 17, outputs: 35, height: 9, width: 13, padding: 1),
    Size(batch: 1, inputs: 4, outputs: 3, height: 16, width: 11, padding: 0),
    Size(batch: 1, inputs: 2, outputs: 5, height: 9, width: 9, padding: 2),
    Size(batch: 2, inputs: 6, outputs: 33, height: 40, width: 70, padding: 1),
  ]

  @Test("a convolution of 3 x 3 filters is the sum that defines it, and so are its gradients", arguments: sizes)
  func convolution(size: Size) throws {
    let x = stream.substream("x").normal([size.batch, size.inputs, size.height, size.width])
    let weight = stream.substream("weight").normal([size.outputs, size.inputs, 3, 3])
    let bias = stream.substream("bias").normal([size.outputs])
    let tape = Tape()
    let watched = [x, weight, bias].map(tape.watch)
    let result = conv2d(watched[0], weight: watched[1], bias: watched[2], padding: size.padding)
    let upstream = stream.substream("upstream").normal(result.shape)
    let gradients = tape.gradients(of: result, seed: upstream, for: watched)
    let expected = Direct(size).compute(x.values, weight.values, bias.values, upstream.values)
    #expect(relativeError(result, Tensor(expected.result, shape: result.shape)) <= 1e-5)
    #expect(relativeError(gradients[0], Tensor(expected.x, shape: x.shape)) <= 1e-5)
    #expect(relativeError(gradients[1], Tensor(expected.weight, shape: weight.shape)) <= 1e-5)
    #expect(relativeError(gradients[2], Tensor(expected.bias, shape: bias.shape)) <= 1e-5)
  }

  /// The convolution written out, in float64.
  private struct Direct {
    let size: Size

    init(_ size: Size) { self.size = size }

    func compute(
      _ x: [Float], _ weight: [Float], _ bias: [Float], _ upstream: [Float]
    ) -> (result: [Float], x: [Float], weight: [Float], bias: [Float]) {
      let (height, width) = (size.height + 2 * size.padding - 2, size.width + 2 * size.padding - 2)
      var result = [Double](repeating: 0, count: size.batch * size.outputs * height * width)
      var xGradient = [Double](repeating: 0, count: x.count)
      var weightGradient = [Double](repeating: 0, count: weight.count)
      var biasGradient = [Double](repeating: 0, count: bias.count)
      for item in 0..<size.batch {
        for output in 0..<size.outputs {
          for pixel in 0..<height * width {
            let out = (item * size.outputs + output) * height * width + pixel
            result[out] += Double(bias[output])
            biasGradient[output] += Double(upstream[out])
            for input in 0..<size.inputs {
              for tap in 0..<9 {
                let (y, column) = (pixel / width + tap / 3 - size.padding, pixel % width + tap % 3 - size.padding)
                guard (0..<size.height).contains(y), (0..<size.width).contains(column) else { continue }
                let place = ((item * size.inputs + input) * size.height + y) * size.width + column
                let filter = (output * size.inputs + input) * 9 + tap
                result[out] += Double(weight[filter]) * Double(x[place])
                xGradient[place] += Double(weight[filter]) * Double(upstream[out])
                weightGradient[filter] += Double(x[place]) * Double(upstream[out])
              }
            }
          }
        }
      }
      return (
        result.map(Float.init), xGradient.map(Float.init), weightGradient.map(Float.init), biasGradient.map(Float.init)
      )
    }
  }

  @Test("an item's bytes do not depend on its batch", arguments: sizes)
  func batch(size: Size) {
    let x = stream.substream("x").normal([size.batch, size.inputs, size.height, size.width])
    let weight = stream.substream("weight").normal([size.outputs, size.inputs, 3, 3])
    let together = conv2d(x, weight: weight, padding: size.padding)
    for item in 0..<size.batch {
      let alone = conv2d(x.slice(axis: 0, item..<item + 1), weight: weight, padding: size.padding)
      #expect(bits(alone) == bits(together.slice(axis: 0, item..<item + 1)))
    }
  }

  @Test(
    "a product is the sum that defines it",
    arguments: [[1, 1, 1], [3, 5, 7], [13, 33, 257], [25, 65, 600], [48, 16, 512], [1025, 40, 30]])
  func product(extents: [Int]) {
    let (m, n, k) = (extents[0], extents[1], extents[2])
    let x = stream.substream("x").normal([m, k]), weight = stream.substream("weight").normal([n, k])
    let (a, b) = (x.values, weight.values)
    let expected = (0..<m * n).map { place in
      Float((0..<k).reduce(0.0) { $0 + Double(a[place / n * k + $1]) * Double(b[place % n * k + $1]) })
    }
    #expect(relativeError(linear(x, weight: weight), Tensor(expected, shape: [m, n])) <= 2e-6)
    #expect(bits(linear(x, weight: weight)) == bits(x.matmul(weight.transposedLast())))
  }

  @Test(
    "attention over blocks of sources is attention over all of them at once, and so are its gradients",
    arguments: [[1, 1, 1], [40, 77, 8], [33, 300, 5], [130, 513, 40]])
  func attentionInBlocks(extents: [Int]) {
    let (targets, sources, width) = (extents[0], extents[1], extents[2])
    let inputs = [
      stream.substream("query").normal([2, targets, 2 * width]) * 3,
      stream.substream("key").normal([2, sources, 2 * width]),
      stream.substream("value").normal([2, sources, 2 * width]),
    ]
    let upstream = stream.substream("upstream").normal([2, targets, 2 * width])
    func run(_ probabilities: ((Tensor) -> Tensor)?) -> [Tensor] {
      let tape = Tape()
      let watched = inputs.map(tape.watch)
      let result = attention(
        query: watched[0], key: watched[1], value: watched[2], heads: 2, probabilities: probabilities)
      return [result.detached] + tape.gradients(of: result, seed: upstream, for: watched)
    }
    // With a look at the probabilities they are all computed.
    for (found, expected) in zip(run(nil), run { $0 }) { #expect(relativeError(found, expected) <= 2e-5) }
  }

  @Test("a target of causal attention sees the sources up to itself, across blocks")
  func causalBlocks() {
    let (positions, width) = (300, 16)
    let inputs = ["query", "key", "value"].map { stream.substream($0).normal([1, positions, width]) }
    let whole = attention(query: inputs[0], key: inputs[1], value: inputs[2], heads: 2, causal: true)
    for target in [0, 31, 32, 255, 256, 299] {
      let seen = attention(
        query: inputs[0].slice(axis: 1, target..<target + 1), key: inputs[1].slice(axis: 1, 0..<target + 1),
        value: inputs[2].slice(axis: 1, 0..<target + 1), heads: 2)
      #expect(relativeError(whole.slice(axis: 1, target..<target + 1), seen) <= 1e-5)
    }
  }

  @Test("a weight that a step changes is not used as it was")
  func changedWeight() {
    let weight = stream.substream("weight").normal([16, 8, 3, 3]), matrix = stream.substream("matrix").normal([16, 8])
    let optimizer = AdamOptimizer([("weight", weight.copied()), ("matrix", matrix.copied())], .init())
    let x = stream.substream("x").normal([1, 8, 8, 8]), rows = stream.substream("rows").normal([4, 8])
    for _ in 0..<2 {
      let (now, matrixNow) = (optimizer.parameters[0].tensor, optimizer.parameters[1].tensor)
      #expect(bits(conv2d(x, weight: now, padding: 1)) == bits(conv2d(x, weight: now.copied(), padding: 1)))
      #expect(bits(linear(rows, weight: matrixNow)) == bits(linear(rows, weight: matrixNow.copied())))
      optimizer.step([Tensor.ones(weight.shape), Tensor.ones(matrix.shape)], learningRate: 0.1)
    }
    let (now, matrixNow) = (optimizer.parameters[0].tensor, optimizer.parameters[1].tensor)
    #expect(bits(conv2d(x, weight: now, padding: 1)) == bits(conv2d(x, weight: now.copied(), padding: 1)))
    #expect(bits(linear(rows, weight: matrixNow)) == bits(linear(rows, weight: matrixNow.copied())))
  }

  @Test("SiLU in the pass of a group norm is SiLU after it to the bit, and so are the gradients")
  func activatedGroupNorm() {
    let inputs = [
      stream.substream("x").normal([3, 12, 5, 7]), stream.substream("weight").normal([12]),
      stream.substream("bias").normal([12]),
    ]
    let upstream = stream.substream("upstream").normal(inputs[0].shape)
    func run(_ body: ([Tensor]) -> Tensor) -> [[UInt32]] {
      let tape = Tape()
      let watched = inputs.map(tape.watch)
      let result = body(watched)
      return [bits(result.detached)] + tape.gradients(of: result, seed: upstream, for: watched).map(bits)
    }
    let together = run { groupNorm($0[0], groups: 4, weight: $0[1], bias: $0[2], activated: true) }
    #expect(together == run { groupNorm($0[0], groups: 4, weight: $0[1], bias: $0[2]).silu() })
  }
}
