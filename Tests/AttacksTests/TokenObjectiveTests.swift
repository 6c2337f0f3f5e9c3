import Attacks
import Diffusion
import TestSupport
import Tensors
import Testing

@Suite("The loss of white-box attacks") struct TokenObjectiveTests {
  private let workplace: Workplace
  private let place: PromptTokens
  private let latent, noise: Tensor
  private let timestep: Int
  private let file: SafetensorsFile

  init() throws {
    workplace = try Workplace()
    place = try PromptTokens(Workplace.prompt, .prefix, count: 3, workplace.model.tokenizer)
    file = try Fixtures.tensors("attacks.safetensors")
    (latent, noise) = (try file.tensor("latent"), try file.tensor("noise"))
    timestep = Int(try file.tensor("timestep").item)
  }

  private func indices(_ name: String) throws -> [Int] { try file.tensor(name).values.map { Int($0) } }

  @Test("an iteration of UnlearnDiffAtk has the loss and the gradient that PyTorch has")
  func unlearnDiff() throws {
    let objective = try TokenObjective(place, workplace.context(attacked: workplace.halved()))
    let candidates = CandidateTokens(workplace.model)
    let drawn = candidates.embeddings(at: try indices("unlearn_diff.drawn"))
    let (loss, gradient) = objective.gradient(drawn, latent: latent, timestep: timestep, toward: noise)
    let (expected, slope) = (try file.tensor("unlearn_diff.loss").item, try file.tensor("unlearn_diff.gradient"))
    #expect(abs(loss - expected) < 1e-4 * expected)
    #expect(relativeError(candidates.oneHotGradient(gradient), slope) < 1e-4)
  }

  @Test("an iteration of P4D has the tokens, the loss and the gradient that PyTorch has")
  func p4d() throws {
    let objective = try TokenObjective(place, workplace.context(attacked: workplace.halved()))
    let candidates = CandidateTokens(workplace.model)
    let nearest = NearestTokens(candidates)(try file.tensor("p4d.vectors"))
    #expect(try nearest == indices("p4d.nearest"))
    let model = workplace.model
    let target = model.unet(
      latent, timesteps: [timestep],
      encoderHiddenStates: model.textEncoder([model.tokenizer.encode(Workplace.prompt)]))
    #expect(try relativeError(target, file.tensor("p4d.target")) < 1e-4)
    let (loss, gradient) = objective.gradient(
      candidates.embeddings(at: nearest), latent: latent, timestep: timestep, toward: target)
    let (expected, slope) = (try file.tensor("p4d.loss").item, try file.tensor("p4d.gradient"))
    #expect(abs(loss - expected) < 1e-4 * expected)
    #expect(relativeError(candidates.oneHotGradient(gradient), slope) < 1e-4)
  }

  @Test("the nearest token has the direction of the vector, however long that is")
  func nearest() {
    let candidates = CandidateTokens(workplace.model)
    let vectors = concatenate(
      [candidates.embeddings(at: [7]) * 0.01, candidates.embeddings(at: [400]) * 30], axis: 0)
    #expect(NearestTokens(candidates)(vectors) == [7, 400])
  }

  @Test("under hooks, guidance and neither, the gradient to one-hot vectors is the slope of the loss")
  func finiteDifferences() throws {
    for (name, intervention) in interventions() {
      var attacked = workplace.model
      attacked.intervention = intervention
      let objective = try TokenObjective(place, workplace.context(attacked: attacked))
      let candidates = CandidateTokens(attacked)
      let start = candidates.embeddings(at: [5, 300, 41])
      func loss(_ embeddings: Tensor) -> Double {
        Double(objective.gradient(embeddings, latent: latent, timestep: timestep, toward: noise).loss)
      }
      let gradient = candidates.oneHotGradient(
        objective.gradient(start, latent: latent, timestep: timestep, toward: noise).gradient)
      for (position, candidate) in [(0, 11), (1, 500), (2, 77)] {
        // A one-hot vector moved a little towards a candidate adds that much of its embedding.
        let step: Float = 0.01
        var rows = (0..<3).map { _ in Tensor.zeros([1, start.shape[1]]) }
        rows[position] = candidates.embeddings(at: [candidate]) * step
        let change = concatenate(rows, axis: 0)
        let slope = (loss(start + change) - loss(start - change)) / Double(2 * step)
        let found = Double(gradient.values[position * candidates.ids.count + candidate])
        #expect(abs(found - slope) < 0.02 * max(abs(slope), 5e-3), "\(name): \(found) and \(slope)")
      }
    }
  }

  @Test("the prediction with an intervention is what a step of the sampler follows")
  func asSampled() throws {
    let settings = SamplerSettings(steps: 2, guidanceScale: 3)
    let model = workplace.model
    let states = model.textEncoder([model.tokenizer.encode(Workplace.prompt)])
    for (name, intervention) in interventions() {
      var attacked = model
      attacked.intervention = intervention
      let timestep = try DDIMScheduler(model.architecture.scheduler).timesteps(2)[1]
      let predicted = try AttackedPrediction(attacked, settings)(latent, timestep: timestep, states: states)
      var hooks: UNetHooks?
      if let make = intervention.hooks { hooks = make(1) }
      let concepts = intervention.guidance?.prompts ?? []
      let all = [""] + concepts + [Workplace.prompt]
      let text = PreparedText.batch(
        all.map { model.unet.prepare(text: model.textEncoder([model.tokenizer.encode($0)])) })
      let batch = model.unet(latent, time: model.unet.prepare(timesteps: [timestep]), text: text, hooks: hooks)
      let parts = all.indices.map { batch.slice(axis: 0, $0..<$0 + 1) }
      var state: Tensor?
      let expected = intervention.guidance?.combine(
        ConceptGuidance.Predictions(
          step: 1, unconditional: parts[0], conditional: parts[all.count - 1],
          concepts: Array(parts[1..<all.count - 1])),
        &state)
      #expect(relativeError(predicted, expected ?? parts[all.count - 1]) < 1e-5, "\(name)")
    }
  }

  /// Nothing, a hook that tells the halves of guidance and the steps apart, and a guidance with a prompt of its own.
  private func interventions() -> [(String, SamplingIntervention)] {
    let hooked = SamplingIntervention(hooks: { step in
      var hooks = UNetHooks()
      hooks.transformerOutput = { _, output in
        precondition(output.shape[0] == 2, "not the batch of a guided step")
        let scales = Tensor([1, Float(step) * 0.5 + 0.25], shape: [2, 1, 1, 1])
        return output * scales
      }
      return hooks
    })
    let guided = SamplingIntervention(
      guidance: ConceptGuidance(prompts: ["a circle"]) { predictions, state in
        precondition(state == nil, "a state of another prediction")
        state = predictions.conditional
        return predictions.unconditional + (predictions.conditional - predictions.concepts[0]) * 2
      })
    return [("nothing", SamplingIntervention()), ("hooks", hooked), ("guidance", guided)]
  }
}
