import Configuration
import Diffusion
import Foundation
import Tensors
import TestSupport
import Testing

/// Runs of the schedulers of diffusers over an artificial model; see generate_schedulers.py.
@Suite("Schedulers agree with diffusers")
struct SchedulerParityTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let config: [String: JSON]
    let runs: [JSON]
    var testDescription: String { name }

    static let all: [Case] = {
      let cases = try? JSON.read(Fixtures.path("schedulers.json"))["cases"]?.array
      return (cases ?? []).map {
        Case(name: $0["name"]?.string ?? "", config: $0["config"]?.object ?? [:], runs: $0["runs"]?.array ?? [])
      }
    }()

    func settings() throws -> SchedulerConfig {
      try SchedulerConfig(ConfigurationFile(file: "\(name).json", values: config))
    }
  }

  private let tensors: SafetensorsFile

  init() throws { tensors = try Fixtures.tensors("schedulers.safetensors") }

  @Test func `there are runs of every scheduler and every type of prediction`() throws {
    let configs = try Case.all.map { try $0.settings() }
    #expect(Set(configs.map(\.scheduler)) == Set(Scheduler.allCases))
    for scheduler in Scheduler.allCases {
      let types = Set(configs.filter { $0.scheduler == scheduler }.map(\.predictionType))
      #expect(types.isSuperset(of: scheduler == .pndm ? [.epsilon, .velocity] : PredictionType.allCases))
    }
  }

  @Test(arguments: Case.all)
  func `timesteps, starting noise and the sample after every step are those of diffusers`(_ each: Case) throws {
    let config = try each.settings()
    let alphas = NoiseSchedule(config).cumulativeAlphas
    let known = try tensors.tensor("\(each.name).alphas")
    // A schedule that ends in noise alone is zero there, but for those that divide by it.
    for (index, value) in known.values.enumerated() where index * 111 < 999 {
      #expect(abs(alphas[index * 111] - value) <= 1e-6 * abs(value))
    }
    for run in each.runs {
      let steps = try #require(run["steps"]?.integer)
      var solver = try config.solver(steps: steps, eta: each.name == "ddim-eta" ? 0.7 : 0)
      let timesteps = try #require(run["timesteps"]?.array).compactMap(\.number)
      #expect(solver.timesteps.count == timesteps.count, "\(steps) steps")
      for (found, expected) in zip(solver.timesteps, timesteps) {
        #expect(abs(Double(found) - expected) < 1e-3, "\(steps) steps")
      }
      let scale = try #require(run["initial_scale"]?.number)
      #expect(abs(Double(solver.initialNoiseScale) - scale) <= 1e-6 * scale)
      try follow(&solver, steps, try tensors.tensor("\(each.name).\(steps)"), name: each.name)
    }
  }

  private func largest(_ tensor: Tensor) -> Double {
    tensor.values.reduce(0) { $1.isFinite ? max($0, Double(abs($1))) : .infinity }
  }

  private func follow(_ solver: inout any Solver, _ steps: Int, _ expected: Tensor, name: String) throws {
    let drawn = try tensors.tensor("drawn")
    func item(_ index: Int) -> Tensor { drawn.slice(axis: 0, index % 8..<index % 8 + 1) }
    var latents = try tensors.tensor("start") * solver.initialNoiseScale
    var row = 0
    var (worst, before) = (0.0, 0.0)
    let count = solver.timesteps.count
    for step in 0..<count {
      let output = solver.modelInput(latents, step: step) * 0.6 + item(step) * 0.3 + 0.1
      // A step is as exact as its larger end, and from noise alone, at σ = 4096, diffusers keeps the error that it
      // rounds there.
      before = max(name.hasSuffix("-zero") ? before : 0, largest(latents))
      latents = solver.step(output, latents, step: step) { item(step + 3) }
      guard steps <= 7 || step % 7 == 6 || step == count - 1 else { continue }
      let known = expected.slice(axis: 0, row..<row + 1)
      let error = largest(latents.reshaped(known.shape) - known)
      #expect(error.isFinite)
      worst = max(worst, error / max(before, largest(known)))
      row += 1
    }
    #expect(row == expected.shape[0])
    #expect(worst <= 1e-5, "\(name), \(steps) steps")
    if ProcessInfo.processInfo.environment["LETHE_SHOW_PARITY"] != nil { print("parity \(name) \(steps): \(worst)") }
  }

  @Test(arguments: ["ddim", "ddim-v"], [3, 20])
  func `inversion takes the steps of DDIM back`(name: String, steps: Int) throws {
    let each = try #require(Case.all.first { $0.name == name })
    let scheduler = DDIMScheduler(try each.settings())
    let expected = try tensors.tensor("\(name).inverse.\(steps)")
    let drawn = try tensors.tensor("drawn")
    var latents = try tensors.tensor("start")
    for (step, timestep) in try scheduler.timesteps(steps).reversed().enumerated() {
      let output = latents * 0.6 + drawn.slice(axis: 0, step % 8..<step % 8 + 1) * 0.3 + 0.1
      latents = scheduler.inverseStep(output, sample: latents, timestep: timestep, steps: steps)
      #expect(relativeError(latents.reshaped([1, 8]), expected.slice(axis: 0, step..<step + 1)) <= 1e-5)
    }
  }
}
