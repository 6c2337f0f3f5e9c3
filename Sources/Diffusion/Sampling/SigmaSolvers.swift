internal import Tensors

/// Euler's method in the noise level σ (Karras et al., 2022, algorithm 2 without churn): x + σ ε follows the model's
/// derivative dx/dσ from one level to the next.
struct EulerSolver: Solver {
  private let run: SigmaRun
  private let predictionType: PredictionType

  init(_ config: SchedulerConfig, steps: Int) throws {
    run = try SigmaRun(config, steps: steps, finalSigma: config.finalSigma)
    predictionType = config.predictionType
  }

  var timesteps: [Float] { run.timesteps }
  var initialNoiseScale: Float { run.initialNoiseScale }

  func modelInput(_ sample: Tensor, step: Int) -> Tensor { sample * run.inputScale(step) }

  func step(_ output: Tensor, _ sample: Tensor, step: Int, noise: () -> Tensor) -> Tensor {
    let (now, next) = (run.sigmas[step], run.sigmas[step + 1])
    if predictionType == .epsilon { return sample + output * (next - now) }
    // x_0 + (x - x_0) σ_s / σ_t: from noise alone, the sample is thousands of times as large as what it ends at.
    return run.clean(output, sample, step, predictionType) * (1 - next / now) + sample * (next / now)
  }
}

/// Linear multistep of order four in the noise level σ: the polynomial through the last derivatives, integrated.
struct LMSSolver: Solver {
  private let run: SigmaRun
  private let predictionType: PredictionType
  /// Newest first, at most four.
  private var derivatives: [Tensor] = []

  init(_ config: SchedulerConfig, steps: Int) throws {
    run = try SigmaRun(config, steps: steps, finalSigma: .zero)
    predictionType = config.predictionType
  }

  var timesteps: [Float] { run.timesteps }
  var initialNoiseScale: Float { run.initialNoiseScale }

  func modelInput(_ sample: Tensor, step: Int) -> Tensor { sample * run.inputScale(step) }

  mutating func step(_ output: Tensor, _ sample: Tensor, step: Int, noise: () -> Tensor) -> Tensor {
    derivatives.insert(run.derivative(output, sample, step, predictionType), at: 0)
    derivatives = Array(derivatives.prefix(4))
    return derivatives.indices.reduce(sample) { $0 + derivatives[$1] * weight(of: $1, step) }
  }

  /// The integral over the step of Lagrange's polynomial that is 1 at the level `age` steps ago and 0 at the others.
  private func weight(of age: Int, _ step: Int) -> Float {
    let sigmas = run.sigmas.map(Double.init)
    let nodes = derivatives.indices.map { sigmas[step - $0] }
    func polynomial(_ sigma: Double) -> Double {
      nodes.indices.filter { $0 != age }.reduce(1) { $0 * (sigma - nodes[$1]) / (nodes[age] - nodes[$1]) }
    }
    // Gauss's two points are exact for polynomials up to the third degree, and these are no higher.
    let (middle, half) = ((sigmas[step + 1] + sigmas[step]) / 2, (sigmas[step + 1] - sigmas[step]) / 2)
    let offset = half / 3.0.squareRoot()
    return Float(half * (polynomial(middle - offset) + polynomial(middle + offset)))
  }
}

extension SigmaRun {
  /// x_0 of x = x_0 + σ ε.
  func clean(_ output: Tensor, _ sample: Tensor, _ step: Int, _ type: PredictionType) -> Tensor {
    let sigma = sigmas[step]
    switch type {
    case .epsilon: return sample - output * sigma
    case .velocity: return sample * (1 / (sigma * sigma + 1)) - output * (sigma * inputScale(step))
    case .sample: return output
    }
  }

  /// dx/dσ = (x - x_0) / σ.
  func derivative(_ output: Tensor, _ sample: Tensor, _ step: Int, _ type: PredictionType) -> Tensor {
    type == .epsilon ? output : (sample - clean(output, sample, step, type)) * (1 / sigmas[step])
  }
}
