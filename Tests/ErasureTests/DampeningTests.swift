import Configuration
import Erasure
import Tensors
import Testing

@Suite struct DampeningTests {
  private func multiplier(retain: Float, forget: Float, alpha: Float, coefficient: Float, floor: Float = 0) -> Float {
    Dampening(alpha: alpha, coefficient: coefficient, floor: floor)
      .multipliers(forget: Tensor(forget), retain: Tensor(retain)).item
  }

  @Test(arguments: [
    (1, 1, 1, 1, 0.5), (1, 1, 1, 0.3, 0.85), (1, 3, 1, 2, 0), (1, 1, 100, 1, 1.0 / 101), (2, 0, 5, 1, 1),
    (0, 2, 1, 1, 0),
  ] as [(Float, Float, Float, Float, Float)])
  func worksOutTheMultipliersOfTheMethod(_ c: (retain: Float, forget: Float, alpha: Float, d: Float, expected: Float)) {
    let found = multiplier(retain: c.retain, forget: c.forget, alpha: c.alpha, coefficient: c.d)
    #expect(abs(found - c.expected) < 1e-5)
  }

  @Test func keepsAParameterThatNeitherSetUses() {
    #expect(multiplier(retain: 0, forget: 0, alpha: 20, coefficient: 1) == 1)
    #expect(multiplier(retain: 0, forget: 0, alpha: 20, coefficient: 1, floor: 1e-12) == 1)
  }

  @Test func changesNothingBetweenEqualSetsAsAlphaGoesToZero() {
    let fisher = RandomStream(seed: 1, "fisher").normal([100]).square()
    let multipliers = Dampening(alpha: 1e-9, coefficient: 1, floor: 1e-12).multipliers(forget: fisher, retain: fisher)
    #expect(multipliers.values.allSatisfy { abs($0 - 1) < 1e-6 })
  }

  @Test func erasesMoreAsAlphaGrows() {
    let found = [0.1, 1, 10, 100].map { multiplier(retain: 1, forget: 2, alpha: $0, coefficient: 1) }
    #expect(found == found.sorted(by: >))
  }

  @Test func warnsOfUnsetPromptsAndOfSettingsThatCollapse() throws {
    let plain = try SSDConfiguration.parse(["erase_concept": "circle"])
    #expect(plain.warnings.contains { $0.contains("forget_prompts") })
    #expect(plain.warnings.contains { $0.contains("retain_prompts") })
    #expect(plain.effectiveForgetPrompts == ["circle"])
    #expect(plain.effectiveRetainPrompts == ["", "a photo", "an image"])
    let strong = try SSDConfiguration.parse([
      "forget_prompts": ["a"], "retain_prompts": ["b"], "alpha": 21, "dampening_coeff": 1.5,
    ])
    #expect(strong.warnings.count == 2)
    #expect(
      strong.warnings.contains { $0.contains("alpha") } && strong.warnings.contains { $0.contains("dampening_coeff") })
  }
}
