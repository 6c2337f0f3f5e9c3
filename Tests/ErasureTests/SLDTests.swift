import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite struct SLDTests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func sld(_ changes: [String: JSON]) throws -> SLDConfiguration {
    try SLDConfiguration.parse(
      .object(["erase_concept": "star", "num_inference_steps": 3, "guidance_scale": 3].merging(changes) { $1 }))
  }

  private func predictions(step: Int = 0, _ empty: [Float], _ prompt: [Float], _ concept: [Float])
    -> ConceptGuidance.Predictions
  {
    func tensor(_ values: [Float]) -> Tensor { Tensor(values, shape: [1, 1, 1, values.count]) }
    return ConceptGuidance.Predictions(
      step: step, unconditional: tensor(empty), conditional: tensor(prompt), concepts: [tensor(concept)])
  }

  /// Distances 1/32 (at the threshold: none), 0.0005 (weight 0.5), -1 (weight 1).
  @Test func guidesAwayWhereThePromptLeansTowardsTheConcept() {
    let guidance = SafetyGuidance(
      scale: 1000, warmupSteps: 0, threshold: 0.03125, momentumScale: 0.5, momentumBeta: 0.7)
    let predictions = predictions([0, 0, 0], [4.03125, 2.0005, 1], [4, 2, 2])
    let away = guidance.away(predictions, momentum: nil).values
    for (found, expected) in zip(away, [0, 1, 2] as [Float]) { #expect(abs(found - expected) < 2e-3) }
    let later = guidance.away(predictions, momentum: Tensor([1, 1, 1], shape: [1, 1, 1, 3])).values
    for (found, expected) in zip(later, [0.5, 1.5, 2.5] as [Float]) { #expect(abs(found - expected) < 2e-3) }
  }

  /// One element, ε_∅ = 0, ε_c = 1, ε_s = 2, always at full weight: away = 2 + 0.5 ν, ν ← 0.7 ν + 0.3 away.
  @Test func keepsAMomentumAlsoWhileItWarmsUp() throws {
    let sld = try sld([
      "sld_guidance_scale": 5000, "sld_warmup_steps": 1, "sld_threshold": 1, "sld_momentum_scale": 0.5,
      "sld_mom_beta": 0.7,
    ])
    let rule = try #require(try sld.intervention(model, tensors: [:]).guidance)
    #expect(rule.prompts == ["star"])
    var state: Tensor?
    #expect(rule.combine(predictions([0], [1], [2]), &state).item == 3)
    #expect(abs(try #require(state).item - 0.6) < 1e-6)
    let second = rule.combine(predictions(step: 1, [0], [1], [2]), &state).item
    #expect(abs(second - 3 * (1 - 2.3)) < 1e-5)
    #expect(abs(try #require(state).item - (0.42 + 0.3 * 2.3)) < 1e-6)
  }

  @Test func hasThePresetsOfThePublication() throws {
    #expect(try sld(["preset": "max"]).guidance == SLDConfiguration().guidance)
    let strong = try sld(["preset": "strong", "sld_threshold": 0.3])
    #expect(strong.guidance.threshold == 0.025 && strong.guidance.scale == 2000 && strong.guidance.warmupSteps == 7)
    #expect(strong.warnings.contains { $0.contains("preset") })
    #expect(try sld(["preset": "weak"]).warnings.contains { $0.contains("warm-up") })
    #expect(try sld(["preset": "none"]).intervention(model, tensors: [:]).guidance == nil)
    #expect(throws: ConfigurationError.self) { try sld(["preset": "maximum"]) }
  }

  private func latents(_ sld: SLDConfiguration, batchSize: Int) throws -> [[UInt32]] {
    var edited = model
    edited.intervention = try sld.intervention(model, tensors: [:])
    var found: [[UInt32]] = []
    let requests = (0..<5).map { ImageRequest(prompt: $0 % 2 == 0 ? "a red star" : "a ring", seed: 3, repetition: $0) }
    try Sampler(edited, sld.samplerSettings).draw(requests, batchSize: batchSize) { range, latents in
      for index in 0..<range.count { found.append(bits(latents.slice(axis: 0, index..<index + 1))) }
    }
    return found
  }

  @Test func drawsTheSameImagesInEveryBatchAndOtherOnesThanTheBaseModel() throws {
    let alone = try latents(sld(["preset": "max"]), batchSize: 1)
    #expect(try latents(sld(["preset": "max"]), batchSize: 5) == alone)
    #expect(try latents(sld(["preset": "none"]), batchSize: 5) != alone)
  }

  @Test func aWarmUpOfAllStepsLeavesTheBaseModelsImages() throws {
    #expect(
      try latents(sld(["sld_warmup_steps": 3]), batchSize: 2) == latents(sld(["preset": "none"]), batchSize: 2))
  }

  @Test func changesNoWeights() throws {
    let edit = try sld([:]).edit(EditContext(model: model, seed: 0))
    #expect(edit.replacedUNetTensors.isEmpty && edit.pruned.isEmpty)
  }
}
