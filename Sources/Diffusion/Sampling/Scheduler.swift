public import Configuration

/// A way from noise to a clean latent in a number of steps, by the name that experiments use.
public enum Scheduler: String, Sendable, CaseIterable, ConfigurationValue {
  /// Denoising diffusion implicit models (Song et al., 2021).
  case ddim
  /// Pseudo numerical methods (Liu et al., 2022): linear multistep of order four, the scheduler of Stable Diffusion 1.
  case pndm
  /// Linear multistep of order four in the noise level σ (Karras et al., 2022; Crowson's k-diffusion).
  case lms
  /// DPM-Solver++ 2M (Lu et al., 2022).
  case dpmSolver = "dpm_solver++"
  /// Euler's method in the noise level σ (Karras et al., 2022, algorithm 2 without churn).
  case euler
  /// Denoising diffusion probabilistic models (Ho et al., 2020), which add noise at every step.
  case ddpm

  /// The class of diffusers that a folder names.
  public var className: String {
    switch self {
    case .ddim: "DDIMScheduler"
    case .pndm: "PNDMScheduler"
    case .lms: "LMSDiscreteScheduler"
    case .dpmSolver: "DPMSolverMultistepScheduler"
    case .euler: "EulerDiscreteScheduler"
    case .ddpm: "DDPMScheduler"
    }
  }

  /// The name in tables and records: "DDIM", or "DDIM with eta 0.5".
  public func title(eta: Double = 0) -> String {
    let name =
      switch self {
      case .dpmSolver: "DPM-Solver++"
      case .euler: "Euler"
      case .ddim, .pndm, .lms, .ddpm: rawValue.uppercased()
      }
    return eta == 0 ? name : "\(name) with eta \(eta)"
  }

  /// - Throws: ``ModelFolderError`` for a class that is none of the six, which names the key of the file.
  init(className: String, in file: ConfigurationFile, _ key: String) throws {
    guard let scheduler = Self.allCases.first(where: { $0.className == className }) else {
      let known = Self.allCases.map(\.className).joined(separator: ", ")
      throw file.error(key, "the scheduler \"\(className)\" is not supported, only \(known)")
    }
    self = scheduler
  }
}

/// What a model was trained to predict of a noised sample x_t = a x_0 + s ε, where a² = ᾱ_t and s² = 1 - ᾱ_t.
public enum PredictionType: String, Sendable, CaseIterable {
  /// The noise ε.
  case epsilon
  /// The velocity v = a ε - s x_0 (Salimans and Ho, 2022), as Stable Diffusion 2 does at 768 pixels.
  case velocity = "v_prediction"
  /// The clean sample x_0.
  case sample
}

/// How the variance β of a noising step grows over the training timesteps.
public enum BetaSchedule: String, Sendable, CaseIterable {
  /// β grows evenly.
  case linear
  /// √β grows evenly, as in latent diffusion.
  case scaledLinear = "scaled_linear"
  /// ᾱ falls as a squared cosine (Nichol and Dhariwal, 2021), and no β is above 0.999.
  case squaredCosine = "squaredcos_cap_v2"
}

/// Which of the training timesteps a run of fewer steps visits (Lin et al., 2024, table 2).
public enum TimestepSpacing: String, Sendable, CaseIterable {
  case leading, trailing, linspace
}

/// Where the noise level of the last step ends.
public enum FinalSigma: String, Sendable, CaseIterable {
  case zero
  /// That of the first training timestep.
  case smallest = "sigma_min"
}

/// The variance of the noise that a step of DDPM adds.
public enum PosteriorVariance: String, Sendable, CaseIterable {
  /// That of the posterior, β̃.
  case small = "fixed_small"
  /// The same, by way of its logarithm.
  case smallLogarithm = "fixed_small_log"
  /// β.
  case large = "fixed_large"
}
