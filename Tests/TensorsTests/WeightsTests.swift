import Tensors
import TestSupport
import Testing

@Suite("Weights")
struct WeightsTests {
  private let weights = Weights(
    ["block.0.conv.weight": Tensor.ones([2, 3]), "block.0.conv.bias": Tensor.zeros([2]), "block.1.bias": Tensor(1)],
    source: "model/unet")

  @Test("scopes see names without their prefix")
  func scopes() throws {
    let conv = weights.scope("block.0").scope("conv")
    #expect(try conv.tensor("weight", [2, 3], .zeros).values == [1, 1, 1, 1, 1, 1])
    #expect(conv.fullName("bias") == "block.0.conv.bias")
    #expect(conv.contains("bias") && !conv.contains("weights"))
    #expect(weights.containsScope("block.0"))
    #expect(!weights.containsScope("block.0.conv.weight") && !weights.containsScope("blo"))
    #expect(weights.names == ["block.0.conv.bias", "block.0.conv.weight", "block.1.bias"])
    #expect(weights.parameterCount == 9)
  }

  @Test("a missing weight and a wrong shape are refused with source, name and the nearest name")
  func refusals() throws {
    let missing = try #require(throws: WeightsError.self) {
      try weights.scope("block.0.conv").tensor("wieght", [2, 3], .zeros)
    }
    #expect(missing.description.contains("model/unet") && missing.description.contains("block.0.conv.wieght"))
    #expect(missing.description.contains("'block.0.conv.weight'"))
    let misshapen = try #require(throws: WeightsError.self) {
      try weights.tensor("block.0.conv.weight", [3, 2], .zeros)
    }
    #expect(misshapen.description.contains("[2, 3]") && misshapen.description.contains("[3, 2]"))
  }

  @Test("a new model's weights depend on the seed and the name, not on the order they are asked for")
  func initialisation() throws {
    func make(_ names: [String], seed: UInt64) throws -> [String: [UInt32]] {
      let weights = Weights(initialising: RandomStream(seed: seed, "model"))
      for name in names { _ = try weights.scope("layer").tensor(name, [50, 4], .uniform(fanIn: 4)) }
      return Dictionary(uniqueKeysWithValues: weights.tensors.map { ($0.name, bits($0.tensor)) })
    }
    let first = try make(["a", "b"], seed: 1)
    #expect(try make(["b", "a"], seed: 1) == first)
    #expect(first["layer.a"] != first["layer.b"])
    #expect(try make(["a", "b"], seed: 2)["layer.a"] != first["layer.a"])
    let values = first["layer.a"]?.map { Float(bitPattern: $0) } ?? []
    #expect(values.count == 200 && values.allSatisfy { abs($0) <= 0.5 })
    #expect(values.contains { abs($0) > 0.45 })
  }

  @Test("tracked weights give gradients, replaced ones leave the original alone")
  func trackedAndReplaced() throws {
    let tape = Tape()
    let tracked = weights.tracked(on: tape)
    let weight = try tracked.tensor("block.0.conv.weight", [2, 3], .zeros)
    let gradient = tape.gradients(of: (weight * 3).sum(), for: tracked.tensors.map(\.tensor))
    #expect(gradient.map { $0.values.first } == [0, 3, 0])
    let replaced = weights.replacing(["block.1.bias": Tensor(7)])
    #expect(replaced["block.1.bias"]?.item == 7)
    #expect(weights["block.1.bias"]?.item == 1)
  }

  @Test("weights rounded to half hold what a half-precision file would")
  func halves() throws {
    let file = try Fixtures.tensors("dtypes/F32.safetensors")
    let rounded = try Weights(loading: file).roundedToHalf()
    let expected = try Fixtures.tensors("dtypes/expected.safetensors").tensor("F16.matrix")
    #expect(try bits(rounded.tensor("matrix", [3, 5], .zeros)) == bits(expected))
  }
}
