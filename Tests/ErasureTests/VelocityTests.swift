import Diffusion
import Erasure
import Foundation
import TestSupport
import Tensors
import Testing

/// What a model that predicts v is asked for is still the noise.
@Suite struct VelocityTests {
  /// The tiny model, said to predict v.
  private func withVelocityModel(_ body: (DiffusionModel) throws -> Void) throws {
    try withScratchFolder { folder in
      let copy = folder + "/model"
      try FileManager.default.copyItem(atPath: Fixtures.path("tiny-diffusers"), toPath: copy)
      let file = URL(filePath: copy + "/scheduler/scheduler_config.json")
      let text = try String(contentsOf: file, encoding: .utf8)
      try Data(text.replacing("\"epsilon\"", with: "\"v_prediction\"").utf8).write(to: file)
      try body(DiffusionModel(folder: copy))
    }
  }

  private func noise(_ model: DiffusionModel, _ latent: Tensor, _ timestep: Int, _ prompt: String) -> Tensor {
    let states = model.textEncoder([model.tokenizer.encode(prompt)])
    let velocity = model.unet(latent, timesteps: [timestep], encoderHiddenStates: states)
    let share = model.schedule.cumulativeAlphas[timestep]
    return velocity * share.squareRoot() + latent * (1 - share).squareRoot()
  }

  @Test func `ESD's target and loss are noise`() throws {
    try withVelocityModel { model in
      var settings = ESDSettings()
      settings.eraseConcept = "a"
      settings.negativeGuidance = 2
      settings.target = .fromUnconditional
      let objective = try ESDObjective(model, settings, steps: 3, seed: 7)
      let sample = try objective.samples(0) { model }[0]
      let concept = noise(model, sample.latent, sample.timestep, "a")
      let empty = noise(model, sample.latent, sample.timestep, "")
      #expect(relativeError(sample.target, empty - (concept - empty) * 2) < 1e-4)
      let loss = objective.loss(sample, model.unet).item
      #expect(abs(loss - mseLoss(concept, sample.target).item) < 1e-4 * loss)
    }
  }

  @Test func `surgical erasing learns noise`() throws {
    try withVelocityModel { model in
      let teacher = try SurgicalTeacher(
        model, ErasingSignal(.none, scale: 3), prompt: "a", shown: "b", steps: 3)
      let lesson = try teacher.lesson(RandomStream(seed: 1, "surgical"))
      let empty = noise(model, lesson.latent, lesson.timestep, "")
      let shown = noise(model, lesson.latent, lesson.timestep, "b")
      #expect(relativeError(lesson.unconditional, empty) < 1e-4)
      #expect(relativeError(lesson.direction, (shown - empty) * 3) < 1e-3)
    }
  }

  @Test func `Fisher information of a model that predicts v is that of its noise`() throws {
    try withVelocityModel { model in
      let plain = try DiffusionModel(folder: Fixtures.path("tiny-diffusers"))
      let sampler = SamplerSettings(steps: 2, guidanceScale: 3)
      let fisher = FisherInformation(prompts: ["a"], samplesPerPrompt: 2, sampler: sampler, seed: 3)
      let velocity = try fisher.diagonal(model, monitor: WorkMonitor())
      let epsilon = try fisher.diagonal(plain, monitor: WorkMonitor())
      let name = "conv_out.bias"
      let found = try #require(velocity[name]).values, other = try #require(epsilon[name]).values
      #expect(found.allSatisfy { $0.isFinite && $0 > 0 } && found != other)
    }
  }
}
