import Attacks
import Configuration
import Diffusion
import TestSupport
import Tensors
import Testing

@Suite("White-box attacks", .serialized) struct WhiteBoxTests {
  private let workplace: Workplace
  init() throws { workplace = try Workplace() }

  private func unlearnDiff(_ more: [String: JSON] = [:]) throws -> UnlearnDiffConfiguration {
    let settings: [String: JSON] = ["tokens": 2, "iterations": 2, "timestep_stride": 20]
    return try UnlearnDiffConfiguration.parse(.object(settings.merging(more) { $1 }))
  }

  private func p4d(_ more: [String: JSON] = [:]) throws -> P4DConfiguration {
    let settings: [String: JSON] = [
      "tokens": 2, "iterations": 2, "timestep_stride": 20, "num_iter": 5, "eval_step": 2, "target_images": 2, "lr": 0.5,
    ]
    return try P4DConfiguration.parse(.object(settings.merging(more) { $1 }))
  }

  private func attacks() throws -> [any Attack] {
    let variants: [JSON] = ["prefix", "n", "k"]
    return [try unlearnDiff(), try unlearnDiff(["rand_init": true, "placement": "suffix"])]
      + (try variants.map { try p4d(["variant": $0]) })
  }

  @Test("a search that finds nothing makes all its iterations and leaves a prompt that can be written")
  func failing() throws {
    for attack in try attacks() {
      let context = workplace.context(attacked: try workplace.halved())
      let found = try attack.search(workplace.target, context, prepared: [:])
      let isOwn = (attack as? P4DConfiguration).map { $0.variant != .prefix } ?? false
      #expect(found.outcome == .failed)
      #expect(found.iterations == (isOwn ? 5 : 6))
      #expect(found.text != workplace.target.prompt)
      #expect(found.loss.map { $0 > 0 && $0.isFinite } ?? false)
    }
  }

  @Test("a prompt that succeeds by itself is not attacked")
  func beforeAttack() throws {
    for attack in try attacks() {
      let found = try attack.search(workplace.target, workplace.context(judge: { _ in true }), prepared: [:])
      #expect(found == AdversarialPrompt(Workplace.prompt, loss: nil, iterations: 0, outcome: .beforeAttack))
    }
  }

  @Test("the first stage whose image shows the concept is the last")
  func succeeding() throws {
    for attack in [try unlearnDiff(), try p4d()] as [any Attack] {
      var judged = 0
      let context = workplace.context(judge: { _ in
        judged += 1
        return judged == 3
      })
      let found = try attack.search(workplace.target, context, prepared: [:])
      // The prompt itself and the first stage did not.
      #expect(found.outcome == .succeeded && found.iterations == 4)
    }
  }

  @Test("the tokens of an attack begin its text, and the prompt ends it")
  func text() throws {
    let found = try unlearnDiff().search(workplace.target, workplace.context(), prepared: [:])
    #expect(found.text.hasSuffix(Workplace.prompt))
  }

  @Test("the publication's variants of P4D keep the text whose image is nearest to the target")
  func bestOfAll() throws {
    let attack = try p4d(["variant": "n"])
    var judged = 0
    let context = workplace.context(judge: { _ in
      judged += 1
      return false
    })
    _ = try attack.search(workplace.target, context, prepared: [:])
    // The prompt, two target images, and the best of the images after 2, 4 and 5 iterations: nobody judges the others.
    #expect(judged == 4)
  }

  @Test("searched on the base model, P4D neither stops at the prompt itself nor says that it has succeeded")
  func onTheBaseModel() throws {
    var attack = try p4d(["variant": "k"])
    attack.access = .baseModel
    let found = try attack.search(workplace.target, workplace.context(judge: { _ in true }), prepared: [:])
    #expect(found.outcome == .untested && found.iterations == 5)
    #expect(attack.control?.tries == 0 && attack.control?.triesPrompt == false)
  }

  @Test("a search gives the same on any number of threads and in any order")
  func threads() throws {
    let before = Parallel.threadCount
    defer { Parallel.threadCount = before }
    let attacks = try attacks()
    let context = workplace.context(attacked: try workplace.halved())
    var targets = [workplace.target, workplace.target, workplace.target]
    targets[1].repetition = 1
    targets[2].prompt = "a blue star"
    for attack in attacks {
      Parallel.threadCount = 1
      let alone = try targets.map { try attack.search($0, context, prepared: [:]) }
      Parallel.threadCount = 3
      let together = try parallelMap(3) { try attack.search(targets[2 - $0], context, prepared: [:]) }
      #expect(alone == together.reversed())
      #expect(alone[0] != alone[1] && alone[0].text != alone[2].text)
    }
  }

  @Test("a search that is cancelled throws")
  func cancellation() throws {
    for attack in try attacks() {
      var asked = 0
      let context = workplace.context(isCancelled: {
        asked += 1
        return asked > 6
      })
      #expect(throws: CancellationError.self) { try attack.search(workplace.target, context, prepared: [:]) }
    }
  }

  @Test("controls have as many tokens in the same places, and as many tries as the attack judges images")
  func controls() throws {
    let control = try #require(try unlearnDiff(["timestep_stride": 5, "placement": "middle"]).control)
    #expect(control.tokens == 2 && control.placement == .middle && control.tries == 10 && control.triesPrompt)
    let k = try #require(try p4d(["variant": "k", "num_iter": 3000, "eval_step": 50]).control)
    #expect(k.placement == .everyThird && k.tries == 1)
    #expect(try p4d().control?.tries == 3)
  }

  @Test("settings of the other variants of P4D are warned of")
  func warnings() throws {
    #expect(try P4DConfiguration.parse(["variant": "n", "num_iter": 100]).warnings.isEmpty)
    let found = try P4DConfiguration.parse(["num_iter": 100, "iterations": 3]).warnings
    #expect(found.count == 1 && found.allSatisfy { $0.contains("num_iter") && !$0.contains("iterations,") })
    #expect(try P4DConfiguration.parse(["variant": "k", "tokens": 4]).warnings.count == 1)
  }

  @Test("settings that leave no room, and evaluations that never come, are refused")
  func refusals() throws {
    let all = workplace.model.tokenizer.modelMaxLength
    let filling = try unlearnDiff(["tokens": .integer(all - 2)])
    #expect(throws: AttackError.self) { try filling.check(workplace.model, prompts: []) }
    try unlearnDiff(["tokens": .integer(all - 3)]).check(workplace.model, prompts: [])
    try p4d(["variant": "n", "tokens": .integer(all - 2)]).check(workplace.model, prompts: [])
    let long = try p4d(["variant": "n", "tokens": .integer(all - 1)])
    #expect(throws: AttackError.self) { try long.check(workplace.model, prompts: []) }
    #expect(throws: ConfigurationError.self) { try p4d(["eval_step": 6]) }
  }
}
