import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct ConceptNeuronsTests {
  private let model: DiffusionModel
  /// The last ResNet block of the pass, so that what changes in it changes no other.
  private let last = "up_blocks.2.resnets.2"

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func neurons(_ score: ConceptNeurons.Score, step: Int = 0) -> ConceptNeurons {
    ConceptNeurons(
      prompts: ["a"], samplesPerPrompt: 2, step: step, score: score,
      sampler: SamplerSettings(steps: 3, guidanceScale: 3), seed: 1)
  }

  /// The model whose last block has a neuron that is always zero.
  private func silenced(_ channel: Int) throws -> DiffusionModel {
    var tensors: [String: Tensor] = [:]
    for part in ["weight", "bias"] {
      let name = "\(last).norm2.\(part)"
      var values = try #require(model.unetWeights[name]).values
      values[channel] = 0
      tensors[name] = Tensor(values, shape: [values.count])
    }
    return try model.replacingUNetWeights(tensors)
  }

  private func blocks() -> [String] {
    model.unetWeights.names.filter { $0.hasSuffix(".norm2.weight") && $0.contains("resnets") }
      .map { String($0.dropLast(".norm2.weight".count)) }
  }

  @Test(arguments: ConceptNeurons.Score.allCases)
  func scoresEveryNeuronAndFindsTheOneThatChanged(_ score: ConceptNeurons.Score) throws {
    let same = try neurons(score, step: 1).scores(original: model, erased: model)
    #expect(same.keys.sorted() == blocks().sorted())
    #expect(same.values.allSatisfy { $0.values.allSatisfy { $0 == 0 } })
    let scores = try neurons(score).scores(original: model, erased: silenced(3))
    for (block, scores) in scores {
      for (channel, value) in scores.values.enumerated() {
        #expect((value == 0) == !(block == last && channel == 3))
      }
    }
  }

  @Test func aReductionIsTheMeanOfWhatIsGone() throws {
    let scores = try neurons(.reduction).scores(original: model, erased: silenced(3))
    let less = try neurons(.reduction).scores(original: silenced(3), erased: model)
    let size = try neurons(.absolute).scores(original: model, erased: silenced(3))
    let (value, opposite, absolute) = (
      try #require(scores[last]).values[3], try #require(less[last]).values[3], try #require(size[last]).values[3]
    )
    #expect(value == -opposite && absolute >= abs(value))
  }

  @Test func choosesTheLargestAndOfEqualOnesTheFirst() {
    #expect(ConceptNeurons.largest(2, of: Tensor([1, 3, -5, 3], shape: [4])) == [1, 3])
    #expect(ConceptNeurons.largest(1, of: Tensor([0, 0, 0], shape: [3])) == [0])
  }

  private func edit(_ change: [String: JSON] = [:]) throws -> (NPESDConfiguration, ModelEdit) {
    let json: [String: JSON] = [
      "erase_concept": "a", "num_inference_steps": 3, "guidance_scale": 3, "neuron_samples": 2,
    ]
    let technique = try NPESDConfiguration.parse(.object(json.merging(change) { $1 }))
    let trained = ["\(last).norm2.weight": try #require(silenced(3).unetWeights["\(last).norm2.weight"])]
    return (technique, try technique.edit(EditContext(model: model, estimates: ["esd": trained], seed: 1)))
  }

  @Test func silencesOneNeuronInEveryBlock() throws {
    let (technique, edit) = try edit()
    #expect(edit.inferenceTensors.keys.sorted() == blocks().sorted())
    for kept in edit.inferenceTensors.values {
      #expect(kept.values.count { $0 == 0 } == 1 && kept.values.count { $0 == 1 } == kept.count - 1)
    }
    var hooked = try edit.applied(to: model)
    hooked.intervention = try technique.intervention(hooked, tensors: edit.inferenceTensors)
    // A neuron that is zero is the same as a second convolution that does not read it.
    let columns = try #require(try technique.weightsInPlaceOfHooks(hooked, tensors: edit.inferenceTensors))
    #expect(columns.count == edit.inferenceTensors.count)
    let equivalent = try edit.applied(to: model).replacingUNetWeights(columns)
    func image(_ model: DiffusionModel) throws -> Tensor {
      let sampler = try Sampler(model, technique.samplerSettings)
      return try sampler.denoise(RandomStream(seed: 0, "noise").normal([1] + sampler.latentShape), prompts: ["a"])
    }
    #expect(relativeError(try image(hooked), try image(equivalent)) < 1e-4)
    #expect(relativeError(try image(hooked), try image(edit.applied(to: model))) > 1e-3)
    hooked.intervention = SamplingIntervention()
    #expect(bits(try image(hooked)) == bits(try image(edit.applied(to: model))))
  }

  @Test func refusesToSilenceAllAndOtherModels() throws {
    #expect(throws: ErasureError.self) { _ = try edit(["neurons_per_layer": 8]) }
    let (technique, _) = try edit()
    #expect(throws: ErasureError.self) {
      _ = try technique.intervention(model, tensors: ["up_blocks.9.resnets.0": Tensor.ones([1, 8, 1, 1])])
    }
  }
}
