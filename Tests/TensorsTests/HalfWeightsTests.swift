import Foundation
import Tensors
import TestSupport
import Testing

@Suite("Weights in half precision")
struct HalfWeightsTests {
  private let stream = RandomStream(seed: 5, "halves")

  /// Values as a file of float16 gives them back.
  private func rounded(_ tensor: Tensor) throws -> Tensor {
    try reread(Safetensors.encode([(name: "x", tensor: tensor)], half: true))
  }

  private func reread(_ file: [UInt8]) throws -> Tensor {
    let path = NSTemporaryDirectory() + "/lethe-halves-\(UUID().uuidString).safetensors"
    try Data(file).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try SafetensorsFile(path).tensor("x")
  }

  /// A linear layer and a convolution above the size from which weights are kept as halves, and what stays whole.
  private var weights: Weights {
    Weights(
      [
        "linear.weight": stream.substream("linear").normal([1040, 512]),
        "conv.weight": stream.substream("conv").normal([384, 160, 3, 3]),
        "conv.bias": stream.substream("bias").normal([384]),
        "text.token_embedding.weight": stream.substream("table").normal([1100, 512]),
      ], source: "a test")
  }

  @Test("large ones take half the memory, the others and tables of embeddings stay float32")
  func memory() throws {
    let (weights, halves) = (weights, weights.roundedToHalf())
    #expect(weights.byteCount == 4 * weights.parameterCount)
    let whole = 384 + 1100 * 512
    #expect(halves.byteCount == 2 * (weights.parameterCount - whole) + 4 * whole)
    #expect(halves.tensors.filter(\.tensor.isHalf).map(\.name) == ["conv.weight", "linear.weight"])
    #expect(halves.roundedToHalf().byteCount == halves.byteCount)
  }

  @Test("values, outputs and gradients of inputs have the bits of weights that were rounded and widened")
  func bitsOfRounding() throws {
    let (weights, halves) = (weights, weights.roundedToHalf())
    for (name, tensor) in weights.tensors {
      let expected = try rounded(tensor)
      #expect(halves[name].map(bits) == bits(expected), "\(name)")
    }
    let (matrix, filters) = (try #require(halves["linear.weight"]), try #require(halves["conv.weight"]))
    let (wholeMatrix, wholeFilters) = (matrix.widened, filters.widened)
    #expect(matrix.isHalf && !wholeMatrix.isHalf)
    let rows = stream.substream("rows").normal([3, 512])
    for (height, padding) in [(12, 1), (4, 0)] {
      let maps = stream.substream("maps").normal([2, 160, height, height])
      func run(_ matrix: Tensor, _ filters: Tensor) -> [[UInt32]] {
        let tape = Tape()
        let (x, y) = (tape.watch(rows), tape.watch(maps))
        let (first, second) = (linear(x, weight: matrix), conv2d(y, weight: filters, padding: padding))
        let loss = first.square().sum() + second.square().sum()
        return [first, second].map { bits($0.detached) } + tape.gradients(of: loss, for: [x, y]).map(bits)
      }
      #expect(run(matrix, filters) == run(wholeMatrix, wholeFilters))
    }
  }

  @Test("written to a file they are what they were")
  func written() throws {
    let matrix = try #require(weights.roundedToHalf()["linear.weight"])
    let back = try reread(Safetensors.encode([(name: "x", tensor: matrix)]))
    #expect(bits(back) == bits(matrix))
  }

  @Test("a gradient with respect to one ends the program")
  func refused() async {
    await #expect(processExitsWith: .failure) {
      let weights = Weights(["w": Tensor.ones([800, 800])], source: "a test").roundedToHalf()
      _ = weights.tracked(on: Tape())
    }
  }
}
