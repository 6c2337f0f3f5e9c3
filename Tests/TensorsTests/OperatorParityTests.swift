import Tensors
import TestSupport
import Testing

@Suite("Operators agree with PyTorch")
struct OperatorParityTests {
  /// PyTorch computed in float64: what is left is the rounding of float32 on our side.
  private let tolerance = 4e-6

  @Test("value and gradients", arguments: try OperatorCase.all())
  func valueAndGradients(_ operatorCase: OperatorCase) throws {
    let file = try Fixtures.tensors("operators.safetensors")
    let name = operatorCase.name
    let inputs = try operatorCase.inputs.map { try file.tensor("\(name).\($0)") }
    let expected = try file.tensor("\(name).output")

    let untracked = try operatorCase.apply(inputs)
    #expect(relativeError(untracked, expected) <= tolerance, "without a tape")

    let tape = Tape()
    let watched = inputs.map(tape.watch)
    let output = try operatorCase.apply(watched)
    #expect(relativeError(output, expected) <= tolerance, "on a tape")
    let gradients = tape.gradients(of: output, seed: try file.tensor("\(name).upstream"), for: watched)
    for (input, gradient) in zip(operatorCase.inputs, gradients) {
      let error = relativeError(gradient, try file.tensor("\(name).grad.\(input)"))
      #expect(error <= tolerance, "gradient of \(input): relative error \(error)")
    }
  }

  @Test("an operator gives a gradient to the one input that is watched", arguments: try OperatorCase.all())
  func gradientOfOneInput(_ operatorCase: OperatorCase) throws {
    let file = try Fixtures.tensors("operators.safetensors")
    let name = operatorCase.name
    let upstream = try file.tensor("\(name).upstream")
    for (index, input) in operatorCase.inputs.enumerated() {
      let tape = Tape()
      var inputs = try operatorCase.inputs.map { try file.tensor("\(name).\($0)") }
      inputs[index] = tape.watch(inputs[index])
      let gradient = tape.gradients(of: try operatorCase.apply(inputs), seed: upstream, for: [inputs[index]])[0]
      #expect(relativeError(gradient, try file.tensor("\(name).grad.\(input)")) <= tolerance, "\(input)")
    }
  }

  @Test("activations keep their accuracy value by value, not only beside the largest one")
  func pointwiseAccuracy() throws {
    let file = try Fixtures.tensors("operators.safetensors")
    let activations = ["silu", "gelu", "quick_gelu", "tanh", "sigmoid", "exp", "log", "sqrt"]
    for operatorCase in try OperatorCase.all() where activations.contains(operatorCase.operator) {
      let value = try operatorCase.apply([try file.tensor("\(operatorCase.name).x")]).values
      let expected = try file.tensor("\(operatorCase.name).output").values
      for (x, y) in zip(value, expected) {
        #expect(abs(x - y) <= 1e-6 + 2e-6 * abs(y), "\(operatorCase.name): \(x), expected \(y)")
      }
    }
  }

  @Test func aProductOfNoDepthIsZero() {
    // Memory that held something before.
    _ = Tensor.full(7, [2, 3])
    #expect(Tensor.zeros([2, 0]).matmul(Tensor.zeros([0, 3])).values == [Float](repeating: 0, count: 6))
    #expect(linear(Tensor.zeros([1, 2, 0]), weight: Tensor.zeros([3, 0])).values == [Float](repeating: 0, count: 6))
  }
}
