import Tensors
import TestSupport
import Testing

@Suite("Gradients agree with finite differences")
struct GradientTests {
  /// An operator on tensors of given shapes, for those that the PyTorch fixture does not hold.
  struct Operator: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let shapes: [[Int]]
    let apply: @Sendable ([Tensor]) -> Tensor

    init(_ name: String, _ shapes: [Int]..., apply: @escaping @Sendable ([Tensor]) -> Tensor) {
      testDescription = name
      self.shapes = shapes
      self.apply = apply
    }
  }

  static let others: [Operator] = [
    Operator("negation", [3, 4]) { -$0[0] },
    Operator("number + tensor", [5]) { 2.5 + $0[0] },
    Operator("tensor + number", [5]) { $0[0] + 2.5 },
    Operator("number - tensor", [5]) { 2.5 - $0[0] },
    Operator("tensor - number", [5]) { $0[0] - 2.5 },
    Operator("number * tensor", [5]) { -1.5 * $0[0] },
    Operator("tensor / number", [5]) { $0[0] / 1.5 },
    Operator("affine", [2, 3]) { $0[0].affine(scale: -0.5, offset: 2) },
    Operator("clamped", [6]) { $0[0].clamped(-0.6...0.35) },
    Operator("last axes swapped", [2, 3, 5]) { $0[0].transposedLast() },
    Operator("zeros behind the last row and column", [2, 3, 2]) { $0[0].paddedAtEnd(1) },
    Operator("stack", [2, 3], [2, 3], [2, 3]) { stack($0) },
    Operator("concatenation of three", [2, 1], [2, 3], [2, 2]) { concatenate($0, axis: -1) },
    Operator("absolute loss", [3, 4], [3, 4]) { l1Loss($0[0], $0[1]) },
    Operator("cross entropy with rows left out", [4, 3]) { crossEntropy($0[0], labels: [1, -1, 2, -1]) },
    Operator("one tensor used three times", [4, 4]) { ($0[0] * $0[0]).matmul($0[0]) + $0[0] },
    Operator("a sum over a chain of layers", [2, 3], [4, 3], [4], [2, 4]) {
      linear(linear($0[0], weight: $0[1], bias: $0[2]).silu(), weight: $0[3]).square().sum()
    },
  ]

  @Test("every operator of the PyTorch fixture", arguments: try OperatorCase.all().filter { !$0.isExtreme })
  func fixtureOperators(_ operatorCase: OperatorCase) throws {
    let file = try Fixtures.tensors("operators.safetensors")
    try check(operatorCase.inputs.map { try file.tensor("\(operatorCase.name).\($0)") }, operatorCase.apply)
  }

  @Test("every other operator", arguments: others)
  func otherOperators(_ operatorCase: Operator) throws {
    let stream = RandomStream(seed: 3, "finite differences", operatorCase.testDescription)
    try check(operatorCase.shapes.enumerated().map { stream.item($0).normal($1) }, operatorCase.apply)
  }

  /// Compares the tape's gradients of sum(upstream * output) with central differences of fourth order,
  /// (8 (f(x + h) - f(x - h)) - (f(x + 2h) - f(x - 2h))) / 12h, summed in float64.
  private func check(
    _ inputs: [Tensor], _ apply: ([Tensor]) throws -> Tensor, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let tape = Tape()
    let watched = inputs.map(tape.watch)
    let output = try apply(watched)
    let upstream = RandomStream(seed: 4, "upstream").normal(output.shape)
    let gradients = tape.gradients(of: output, seed: upstream, for: watched)

    func loss(_ index: Int, _ element: Int, _ shift: Float) throws -> Double {
      var values = inputs[index].values
      values[element] += shift
      var shifted = inputs
      shifted[index] = Tensor(values, shape: inputs[index].shape)
      return zip(try apply(shifted).values, upstream.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    let step: Float = 0x1p-6
    for (index, gradient) in gradients.enumerated() {
      let numeric = try (0..<inputs[index].count).map { element in
        let near = try loss(index, element, step) - loss(index, element, -step)
        let far = try loss(index, element, 2 * step) - loss(index, element, -2 * step)
        return Float((8 * near - far) / (12 * Double(step)))
      }
      let error = relativeError(gradient, Tensor(numeric, shape: gradient.shape))
      #expect(error <= 1e-3, "input \(index): relative error \(error)", sourceLocation: sourceLocation)
    }
  }
}

@Suite("The tape")
struct TapeTests {
  @Test("sums the gradients of every path to a tensor")
  func paths() {
    let tape = Tape()
    let x = tape.watch(Tensor([2, -3], shape: [2]))
    let loss = (x * x + x * 4 + x.reshaped([1, 2]).reshaped([2])).sum()
    #expect(tape.gradients(of: loss, for: [x])[0].values == [9, -1])
  }

  @Test("gives zeros to a tensor that the loss does not depend on")
  func independent() {
    let tape = Tape()
    let x = tape.watch(Tensor([1, 2], shape: [2]))
    let y = tape.watch(Tensor([3, 4, 5], shape: [3]))
    let gradients = tape.gradients(of: x.square().sum(), for: [y, x])
    #expect(gradients[0].values == [0, 0, 0])
    #expect(gradients[1].values == [2, 4])
  }

  @Test("gives gradients at intermediate tensors too")
  func intermediate() {
    let tape = Tape()
    let x = tape.watch(Tensor([1, 2], shape: [2]))
    let y = x * 3
    let gradients = tape.gradients(of: (y * y).sum(), for: [y, x])
    #expect(gradients[0].values == [6, 12])
    #expect(gradients[1].values == [18, 36])
  }

  @Test("lets no gradient through a detached tensor, and records nothing of constants")
  func detached() {
    let tape = Tape()
    let x = tape.watch(Tensor([1, 2], shape: [2]))
    #expect(tape.gradients(of: (x * x.detached).sum(), for: [x])[0].values == [1, 2])
    #expect(!(x.detached * 2).isTracked)
    #expect(!(Tensor.ones([2]) + Tensor.ones([2])).isTracked)
  }

  @Test("leaves values alone that share memory with a gradient")
  func sharedMemory() {
    let tape = Tape()
    let x = tape.watch(Tensor([1, 2], shape: [2]))
    let seed = Tensor([1, 1], shape: [2])
    // Addition hands the very same gradient to both sides, three times over.
    let output = (x + x) + (x + x)
    #expect(tape.gradients(of: output, seed: seed, for: [x])[0].values == [4, 4])
    #expect(seed.values == [1, 1])
  }

  @Test("survives a chain of a hundred thousand operators")
  func deepChain() {
    let tape = Tape()
    let start = tape.watch(Tensor([1], shape: [1]))
    var x = start
    for _ in 0..<100_000 { x = x + 1e-5 }
    #expect(tape.gradients(of: x.sum(), for: [start])[0].values == [1])
  }
}
