import Configuration
import Diffusion
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct SchedulerTests {
  @Test func `Stable Diffusion's fifty timesteps are 981, 961, ..., 21, 1`() throws {
    let timesteps = try DDIMScheduler(SchedulerConfig()).timesteps(50)
    #expect(timesteps == (0..<50).map { 981 - 20 * $0 })
  }

  @Test func `trailing and linspace spacings visit the timesteps that diffusers visits`() throws {
    var config = SchedulerConfig()
    config.spacing = .trailing
    #expect(try DDIMScheduler(config).timesteps(4) == [999, 749, 499, 249])
    #expect(try DDIMScheduler(config).timesteps(7) == [999, 856, 713, 570, 428, 285, 142])
    config.spacing = .linspace
    #expect(try DDIMScheduler(config).timesteps(4) == [999, 666, 333, 0])
    #expect(try DDIMScheduler(config).timesteps(7) == [999, 832, 666, 500, 333, 166, 0])
    #expect(try DDIMScheduler(config).timesteps(1) == [0])
  }

  @Test(arguments: [0, -1, 1001]) func `a number of steps outside the schedule is refused`(steps: Int) {
    let error = #expect(throws: SamplingError.self) { try DDIMScheduler(SchedulerConfig()).timesteps(steps) }
    #expect(error?.description.contains("\(steps) inference steps") == true)
  }

  @Test func `a timestep past the schedule is refused with the setting that led there`() {
    let error = #expect(throws: SamplingError.self) { try DDIMScheduler(SchedulerConfig()).timesteps(1000) }
    #expect(error?.description.contains("steps_offset") == true)
  }

  @Test func `a step from exact noise returns to the clean sample, noised less`() throws {
    let scheduler = DDIMScheduler(SchedulerConfig())
    let stream = RandomStream(seed: 1, "scheduler")
    let clean = stream.item(0).normal([1, 4, 8, 8])
    let noise = stream.item(1).normal([1, 4, 8, 8])
    let noised = scheduler.schedule.addNoise(clean, noise: noise, timesteps: [801])
    let stepped = scheduler.step(noise, sample: noised, timestep: 801, steps: 50)
    #expect(relativeError(stepped, scheduler.schedule.addNoise(clean, noise: noise, timesteps: [781])) < 1e-5)
  }

  @Test func `clipping limits the clean sample that a step goes through`() {
    var config = SchedulerConfig()
    config.clipRange = 0.5
    let far = Tensor.full(9, [1, 1, 2, 2])
    let clean = DDIMScheduler(config).predictedClean(.zeros([1, 1, 2, 2]), sample: far, timestep: 1)
    #expect(clean.values == [0.5, 0.5, 0.5, 0.5])
  }
}

@Suite struct SchedulerConfigTests {
  private func config(_ values: [String: JSON], class name: String = "DDIMScheduler") throws -> SchedulerConfig {
    try SchedulerConfig(
      ConfigurationFile(file: "scheduler_config.json", values: values.merging(["_class_name": .string(name)]) { $1 }))
  }

  @Test(arguments: Scheduler.allCases)
  func `what is written is read as the same settings by every scheduler`(scheduler: Scheduler) throws {
    let all: [[String: JSON]] = [
      [:], ["set_alpha_to_one": true, "clip_sample": false],
      ["skip_prk_steps": .bool(scheduler != .pndm), "steps_offset": 1],
      ["lambda_min_clipped": -5.1, "solver_order": 1, "final_sigmas_type": "sigma_min", "use_karras_sigmas": true],
      ["prediction_type": "v_prediction", "rescale_betas_zero_snr": true, "timestep_spacing": "trailing"],
    ]
    for settings in all {
      var first = try config(settings, class: scheduler.className)
      let second = try config(try #require(first.json.object), class: scheduler.className)
      // What a class does by default is written out.
      first.spacing = first.effectiveSpacing
      if [.ddim, .pndm].contains(scheduler), first.setAlphaToOne == nil { first.setAlphaToOne = scheduler == .ddim }
      #expect(first == second)
    }
  }

  @Test func `the folder that Lethe writes for DDIM has the keys that it always had`() {
    #expect(
      SchedulerConfig().json == [
        "_class_name": "DDIMScheduler", "_diffusers_version": "0.30.0", "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false, "clip_sample_range": 1,
        "num_train_timesteps": 1000, "prediction_type": "epsilon", "rescale_betas_zero_snr": false,
        "set_alpha_to_one": false, "steps_offset": 1, "thresholding": false, "timestep_spacing": "leading",
      ])
  }

  @Test func `another scheduler takes what it knows of a folder's settings, and has its own defaults else`() throws {
    let folder = try config(
      ["beta_start": 0.00085, "beta_end": 0.012, "skip_prk_steps": true, "steps_offset": 1], class: "PNDMScheduler")
    #expect(try folder.solver(steps: 4).timesteps == [751, 501, 501, 251, 1])
    #expect(try folder.solver(steps: 4, scheduler: .ddim).timesteps == [751, 501, 251, 1])
    #expect(try folder.solver(steps: 4, scheduler: .lms).timesteps == [999, 666, 333, 0])
    #expect(try folder.solver(steps: 4, scheduler: .dpmSolver).timesteps == [999, 749, 500, 250])
  }

  @Test(arguments: [
    (Scheduler.pndm, 4, "v_prediction", 0.0, "terminal signal-to-noise ratio"),
    (.lms, 4, "v_prediction", 0, "terminal signal-to-noise ratio"),
    (.ddim, 4, "epsilon", 0, "predicts v or the sample"), (.euler, 4, "epsilon", 0.5, "only ddim has"),
    (.ddim, 4, "sample", 1.5, "from 0 to 1"), (.euler, 0, "epsilon", 0, "0 inference steps"),
    (.dpmSolver, 1000, "sample", 0, "at most 999"),
  ])
  func `a run that cannot be is refused in a sentence`(
    scheduler: Scheduler, steps: Int, type: String, eta: Double, says: String
  ) throws {
    let config = try config(["prediction_type": .string(type), "rescale_betas_zero_snr": true])
    let error = #expect(throws: SamplingError.self) {
      try config.solver(steps: steps, scheduler: scheduler, eta: eta)
    }
    #expect(error?.description.contains(says) == true, "\(error?.description ?? "")")
  }

  @Test func `what PNDM cannot do is refused`() throws {
    let sample = try config(["prediction_type": "sample", "skip_prk_steps": true], class: "PNDMScheduler")
    #expect(throws: SamplingError("the scheduler pndm cannot sample a model that predicts the clean sample")) {
      try sample.solver(steps: 4)
    }
    let slow = try config([:], class: "PNDMScheduler")
    #expect(throws: SamplingError("3 inference steps: the Runge-Kutta steps of pndm need at least 4")) {
      try slow.solver(steps: 3)
    }
  }

  @Test func `a bound that Python writes as minus infinity is none`() throws {
    try withScratchFolder { folder in
      let path = folder + "/scheduler_config.json"
      let text = #"{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity}"#
      try Data(text.utf8).write(to: URL(filePath: path))
      #expect(try SchedulerConfig(ConfigurationFile(path: path)).smallestLogSNR == -.infinity)
      try Data(text.replacing("lambda_min_clipped", with: "beta_end").utf8).write(to: URL(filePath: path))
      let error = #expect(throws: ModelFolderError.self) { try SchedulerConfig(ConfigurationFile(path: path)) }
      #expect(error?.description == "\(path): `beta_end`: a finite number was expected")
    }
  }

  @Test(arguments: PredictionType.allCases)
  func `the noise that was added is told from a perfect prediction of any type`(type: PredictionType) throws {
    let schedule = NoiseSchedule(try config(["prediction_type": .string(type.rawValue)]))
    let stream = RandomStream(seed: 3, "schedule")
    let (clean, noise) = (stream.item(0).normal([1, 4, 4, 4]), stream.item(1).normal([1, 4, 4, 4]))
    for timestep in [0, 500, 999] {
      let share = schedule.cumulativeAlphas[timestep]
      let output =
        switch type {
        case .epsilon: noise
        case .velocity: noise * share.squareRoot() - clean * (1 - share).squareRoot()
        case .sample: clean
        }
      let noised = schedule.addNoise(clean, noise: noise, timesteps: [timestep])
      #expect(relativeError(schedule.noise(predicted: output, in: noised, timestep: timestep), noise) < 1e-4)
    }
  }
}
