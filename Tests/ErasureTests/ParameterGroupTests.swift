import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite struct ParameterGroupTests {
  private let weights: Weights

  init() throws { weights = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")).unetWeights }

  private func names(_ group: ParameterGroup) throws -> Set<String> { Set(try group.names(in: weights)) }

  @Test func keysAndValuesAreTwoMatricesOfEachCrossAttention() throws {
    let blocks = weights.names.filter { $0.hasSuffix("attn2.to_q.weight") }.count
    #expect(try names(.crossAttentionKeysValues).count == 2 * blocks)
    #expect(try names(.crossAttentionKeysValues).isSubset(of: names(.crossAttention)))
  }

  @Test func theUnconditionalGroupsDifferInTimeEmbeddingOutputAndNorms() throws {
    let (old, new) = (try names(.allButCrossAttention), try names(.modulesWithoutCrossAttention))
    let cross = try names(.crossAttention)
    #expect(old.isDisjoint(with: cross) && new.isDisjoint(with: cross))
    #expect(new.contains("conv_out.weight") && !old.contains("conv_out.weight"))
    #expect(new.contains("time_embedding.linear_1.weight") && !old.contains("time_embedding.linear_1.weight"))
    #expect(
      old.contains("down_blocks.0.resnets.0.norm1.weight") && !new.contains("down_blocks.0.resnets.0.norm1.weight"))
    // The projections of the embedding inside the blocks are parts of these in both.
    #expect(old.contains("down_blocks.0.resnets.0.time_emb_proj.weight"))
  }

  @Test func fullIsEverythingAndFeedForwardTwoMatricesABlock() throws {
    #expect(try names(.full) == Set(weights.names))
    #expect(try names(.feedForward).count == 2 * names(.feedForwardOutput).count)
    #expect(try names(.attentionOutputs).allSatisfy { $0.contains("to_out.0") })
    #expect(try names(.residual).allSatisfy { $0.contains("resnets") && !$0.contains("time_emb") })
  }

  @Test func aGroupWithoutWeightsIsRefused() {
    let none = Weights(["conv_in.weight": Tensor.zeros([1, 1, 3, 3])], source: "test")
    let error = #expect(throws: ErasureError.self) { try ParameterGroup.feedForward.names(in: none) }
    #expect(error?.description.contains("\"ff\"") == true)
  }
}
