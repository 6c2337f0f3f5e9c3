import Configuration
import Erasure
import Tensors
import Testing

@Suite struct SelectiveDampeningTests {
  @Test(arguments: [
    (forget: 11, retain: 1, expected: 1.0 / 11), (10, 1, 1), (9, 1, 1), (4, 0, 0), (0, 0, 1), (0, 3, 1),
  ] as [(forget: Float, retain: Float, expected: Float)])
  func dampensWhatTheConceptNeedsTenTimesAsMuch(_ c: (forget: Float, retain: Float, expected: Float)) {
    let multipliers = SelectiveDampening(threshold: 10, constant: 1)
      .multipliers(forget: Tensor(c.forget), retain: Tensor(c.retain))
    #expect(abs(multipliers.item - c.expected) < 1e-6)
  }

  @Test func neverScalesAParameterUp() {
    let multipliers = SelectiveDampening(threshold: 2, constant: 100).multipliers(forget: Tensor(4), retain: Tensor(1))
    #expect(multipliers.item == 1)
  }

  @Test func changesFewerParametersAsTheThresholdGrows() {
    let forget = RandomStream(seed: 1, "forget").normal([1000]).square()
    let retain = RandomStream(seed: 1, "retain").normal([1000]).square()
    let changed = [1, 2, 5, 10, 50].map { threshold in
      SelectiveDampening(threshold: threshold, constant: 1).multipliers(forget: forget, retain: retain).values
        .filter { $0 < 1 }.count
    }
    #expect(changed == changed.sorted(by: >) && changed[0] > changed[4])
  }

  @Test func warnsOfSettingsOfTheOtherRule() throws {
    let prompts: [String: JSON] = ["forget_prompts": ["a"], "retain_prompts": ["b"]]
    func warnings(_ settings: [String: JSON]) throws -> [String] {
      try SSDConfiguration.parse(.object(prompts.merging(settings) { $1 })).warnings
    }
    #expect(try warnings(["rule": "original"]).isEmpty)
    #expect(try warnings(["rule": "original", "alpha": 30]) == ["alpha is not used by the rule \"original\""])
    #expect(try warnings(["dampening_constant": 0.5]) == ["dampening_constant is not used by the rule \"ratio\""])
  }
}
