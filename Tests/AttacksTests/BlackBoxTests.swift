import Attacks
import Configuration
import Diffusion
import TestSupport
import Tensors
import Testing

@Suite("Attacks on the text encoder", .serialized) struct BlackBoxTests {
  private let workplace: Workplace
  init() throws { workplace = try Workplace().withCard() }

  private func ringABell(_ more: [String: JSON] = [:]) throws -> RingABellConfiguration {
    let settings: [String: JSON] = ["token_length": 4, "population_size": 20, "generations": 12]
    return try RingABellConfiguration.parse(.object(settings.merging(more) { $1 }))
  }

  private func mma(_ more: [String: JSON] = [:]) throws -> MMAConfiguration {
    let settings: [String: JSON] = ["control_length": 5, "n_steps": 6, "batch_size": 40, "topk": 30]
    return try MMAConfiguration.parse(.object(settings.merging(more) { $1 }))
  }

  private func search(_ attack: any Attack, _ context: AttackContext) throws -> AdversarialPrompt {
    try attack.search(workplace.target, context, prepared: attack.prepare(["star"], context))
  }

  @Test("the vector of a concept is the mean difference of its prompts and the same without its name")
  func vector() throws {
    let context = workplace.context()
    let prepared = try ringABell().prepare(["star"], context)
    let model = workplace.model
    func states(_ prompt: String) -> Tensor { model.textEncoder([model.tokenizer.encode(prompt)]) }
    let differences = [("a star", "a circle"), ("a photo of a star", "a photo of a circle"), ("star", "circle")].map {
      states($0) - states($1)
    }
    let expected = (differences[0] + differences[1] + differences[2]) / 3
    let found = try #require(prepared["star"])
    #expect(relativeError(found.reshaped(expected.shape), expected) < 1e-5)

    let mean = try ringABell(["concept_vector": "mean", "concept_prompts": ["a star"]]).prepare(["star"], context)
    #expect(try relativeError(#require(mean["star"]).reshaped(expected.shape), states("a star")) < 1e-6)
    let own = try ringABell(["concept_prompts": ["red"], "neutral_prompts": ["blue"]]).prepare(["star"], context)
    let difference = states("red") - states("blue")
    #expect(try relativeError(#require(own["star"]).reshaped(expected.shape), difference) < 1e-6)
  }

  @Test("an article goes with the word behind it, and without an anchor nothing takes the name's place")
  func pairs() {
    var concept = ModelCard.Concept(
      name: "orange", kind: "colour", judge: ModelCard.JudgeClass(judge: "", head: "", classIndex: 0))
    let neutral = concept.pairs(among: ["an orange shape", "something orange", "a shape", "orange"]).map(\.neutral)
    #expect(neutral == ["a shape", "something", ""])
    concept.name = "shape"
    concept.anchor = "arrow"
    #expect(concept.pairs(among: ["an orange shape", "a shape"]).map(\.neutral) == ["an orange arrow", "an arrow"])
  }

  @Test("Ring-A-Bell comes nearer to the prompt with the concept added, and its loss is that of its text")
  func ringABellSearch() throws {
    let context = workplace.context()
    let short = try search(ringABell(["generations": 1]), context)
    let found = try search(ringABell(), context)
    #expect(found.outcome == .untested && found.iterations == 12 && short.iterations == 1)
    #expect(try #require(found.loss) < #require(short.loss))
    #expect(context.base.tokenizer.tokens(found.text).count >= 1)
  }

  @Test("the distance of states is a sum over all positions, prompt by prompt")
  func distance() throws {
    let model = workplace.model
    let goal = model.textEncoder([model.tokenizer.encode("a red star")])
    let prompts = (0..<70).map { model.tokenizer.encode($0 % 2 == 0 ? "a red star" : "circle \($0)") }
    let found = try StateDistance(goal, model.textEncoder)(prompts)
    for (index, prompt) in prompts.enumerated() {
      let expected = (model.textEncoder([prompt]) - goal).sumOfSquares
      #expect(abs(Double(found[index]) - expected) <= 1e-5 * max(expected, 1))
    }
    #expect(found[0] == 0 && found[1] > 1)
  }

  @Test("MMA's gradient is that of the positions that are replaced")
  func positions() throws {
    let model = workplace.model
    let objective = PooledDistance(to: "a red star", model)
    let candidates = CandidateTokens(model)
    let tokens = [4, 90, 300, 17, 222]
    let gradient = objective.gradient(tokens)
    #expect(gradient.shape == [5, model.textEncoder.tokenEmbedding.shape[1]])
    // The slope towards another token at a position, from the loss itself.
    let encoder = model.textEncoder
    let ids = [[model.tokenizer.beginToken] + tokens + [model.tokenizer.endToken]]
    let goalIDs = [model.tokenizer.encode("a red star")]
    let goal = encoder.pooled(encoder(goalIDs), goalIDs).normalizedRows()
    func loss(_ embeddings: Tensor) -> Double {
      let pooled = encoder.pooled(encoder(embeddings: embeddings), ids).normalizedRows()
      return 1 - zip(pooled.values, goal.values).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    }
    let start = encoder.embed(ids)
    #expect(abs(try Double(objective.losses([tokens])[0]) - loss(start)) < 1e-5)
    for position in 0..<5 {
      let step: Float = 0.02
      var rows = (0..<7).map { _ in Tensor.zeros([1, 1, start.shape[2]]) }
      rows[1 + position] = (candidates.embeddings(at: [50]) * step).reshaped([1, 1, start.shape[2]])
      let change = concatenate(rows, axis: 1)
      let slope = (loss(start + change) - loss(start - change)) / Double(2 * step)
      let found = Double(candidates.oneHotGradient(gradient).values[position * candidates.ids.count + 50])
      #expect(abs(found - slope) < 0.03 * max(abs(slope), 1e-2), "\(position)")
    }
  }

  @Test("MMA comes nearer to its target with as many tokens and none of the blocked words")
  func mmaSearch() throws {
    let context = workplace.context()
    let attack = try mma(["blocked_words": ["star", "red", "e"]])
    let found = try search(attack, context)
    let objective = PooledDistance(to: Workplace.prompt, workplace.model)
    let tokens = workplace.model.tokenizer.tokens(found.text)
    #expect(found.outcome == .untested && tokens.count == 5)
    #expect(abs(try Double(objective.losses([tokens])[0]) - #require(found.loss)) < 1e-6)
    let one = try search(mma(["n_steps": 1, "blocked_words": ["star", "red", "e"]]), context)
    #expect(try #require(found.loss) < #require(one.loss))
    #expect(!found.text.contains("e"))
    let own = try search(mma(), context)
    #expect(!own.text.contains("star") && !own.text.contains("sparkle"))
  }

  @Test("a search gives the same on any number of threads and in any order")
  func threads() throws {
    let before = Parallel.threadCount
    defer { Parallel.threadCount = before }
    let context = workplace.context()
    var targets = [workplace.target, workplace.target]
    targets[1].repetition = 1
    for attack in [try ringABell(), try mma()] as [any Attack] {
      let prepared = try attack.prepare(["star"], context)
      Parallel.threadCount = 1
      let alone = try targets.map { try attack.search($0, context, prepared: prepared) }
      Parallel.threadCount = 3
      let inside = try targets.map { try attack.search($0, context, prepared: prepared) }
      let together = try parallelMap(2) { try attack.search(targets[1 - $0], context, prepared: prepared) }
      #expect(alone == inside && alone == together.reversed() && alone[0] != alone[1])
    }
  }

  @Test("a search that is cancelled throws")
  func cancellation() throws {
    let context = workplace.context(isCancelled: { true })
    for attack in [try ringABell(), try mma()] as [any Attack] {
      let prepared = try attack.prepare(["star"], workplace.context())
      #expect(throws: CancellationError.self) {
        try attack.search(workplace.target, context, prepared: prepared)
      }
    }
  }

  @Test("lengths beyond the positions, words in every token, and concepts without prompts are refused")
  func refusals() throws {
    let most = workplace.model.tokenizer.modelMaxLength - 2
    try ringABell(["token_length": .integer(most)]).check(workplace.model, prompts: [])
    let long: [any Attack] = [
      try ringABell(["token_length": .integer(most + 1)]), try mma(["control_length": .integer(most + 1)]),
    ]
    for attack in long { #expect(throws: AttackError.self) { try attack.check(workplace.model, prompts: []) } }
    let blocking = BlockedWords(["a"])
    let tokenizer = workplace.model.tokenizer
    #expect(try blocking.allowedTokens(tokenizer).count < tokenizer.ordinaryTokens.count)
    let all = tokenizer.ordinaryTokens.map { tokenizer.decode([$0]) }
    let none = try mma(["blocked_words": .array(Set(all).sorted().filter { !$0.isEmpty }.map(JSON.string))])
    #expect(throws: AttackError.self) { try none.check(workplace.model, prompts: []) }
    let attack = try ringABell()
    #expect(throws: AttackError.self) { try attack.prepare(["moon"], workplace.context()) }
    #expect(throws: ConfigurationError.self) { try ringABell(["neutral_prompts": ["a circle"]]) }
  }

  @Test("controls take the place of the prompt with as many tokens, and draw no image")
  func controls() throws {
    for attack in [try ringABell(), try mma(["control_length": 4])] as [any Attack] {
      let control = try #require(attack.control)
      #expect(control.tokens == 4 && control.placement == .replace && control.tries == 0)
      #expect(control.access == .textEncoder && attack.access == .textEncoder)
    }
  }
}
