import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite struct PruningMaskTests {
  private var mask: PruningMask {
    var mask = PruningMask()
    mask.prune([0, 1, 130, 99_999], of: "b.weight", count: 100_000)
    mask.prune([7], of: "a.weight", count: 8)
    return mask
  }

  @Test func comesBackFromItsBytes() throws {
    #expect(try PruningMask(decoding: mask.encoded, source: "test") == mask)
    #expect(try PruningMask(decoding: PruningMask().encoded, source: "test").isEmpty)
    #expect(mask.prunedCount == 5)
  }

  @Test func takesAboutAByteForAPrunedElementWhereOneInFiftyIs() {
    var mask = PruningMask()
    mask.prune(Array(stride(from: 3, to: 50_000, by: 50)), of: "w", count: 50_000)
    #expect(mask.encoded.count < 1000 + 40)
  }

  @Test func refusesBytesThatAreNoMask() {
    let bytes = mask.encoded
    // The last one names every weight twice.
    let damaged: [[UInt8]] = [
      Array(bytes.dropLast()), [UInt8]("lethe".utf8), bytes + [1], Array(bytes.dropLast()) + [0xff],
      bytes + Array(bytes.dropFirst(PruningMask().encoded.count)),
    ]
    for damaged in damaged {
      #expect(throws: ErasureError.self) { try PruningMask(decoding: damaged, source: "test") }
    }
  }

  @Test func setsItsElementsToZeroAndNothingElse() throws {
    let weights = Weights(["w": Tensor([1, 2, 3, 4], shape: [2, 2]), "v": Tensor([5], shape: [1])], source: "test")
    var mask = PruningMask()
    mask.prune([1, 3], of: "w", count: 4)
    let pruned = try mask.applied(to: weights)
    #expect(pruned["w"]?.values == [1, 0, 3, 0])
    #expect(pruned["v"]?.values == [5])
    #expect(weights["w"]?.values == [1, 2, 3, 4])
  }

  @Test func withoutItsMaskAnEditedModelIsTheOriginalBitForBit() throws {
    let model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers"))
    let name = try #require(model.unetWeights.names.first { $0.hasSuffix("conv1.weight") })
    var edit = ModelEdit()
    edit.pruned.prune([0, 3], of: name, count: try #require(model.unetWeights[name]?.count))
    let pruned = try edit.applied(to: model)
    #expect(pruned.unetWeights[name]?.values[3] == 0)
    edit.pruned = PruningMask()
    let restored = try edit.applied(to: model)
    #expect(restored.unetWeights.tensors.map { bits($0.tensor) } == model.unetWeights.tensors.map { bits($0.tensor) })
  }

  @Test func ofAnotherModelIsRefusedByTheNameOfTheWeight() {
    let weights = Weights(["w": Tensor([1, 2], shape: [2])], source: "test")
    var mask = PruningMask()
    mask.prune([1], of: "w", count: 3)
    let error = #expect(throws: ErasureError.self) { try mask.applied(to: weights) }
    #expect(error?.description.contains("'w' of 3 elements") == true)
  }
}
