public import Configuration

/// A noise schedule and how it is sampled: the `scheduler/scheduler_config.json` of a diffusers folder.
///
/// The settings of all schedulers stand beside each other, as diffusers keeps them when one scheduler is made from the
/// configuration of another: another ``scheduler`` takes those that it knows and leaves the rest alone.
public struct SchedulerConfig: Sendable, Equatable {
  public var scheduler = Scheduler.ddim

  // MARK: The noise that the model was trained with

  public var trainTimesteps = 1000
  public var betaStart = 0.00085
  public var betaEnd = 0.012
  public var betaSchedule = BetaSchedule.scaledLinear
  /// Whether β is rescaled so that the last timestep is noise alone (Lin et al., 2024, algorithm 1).
  public var hasZeroTerminalSNR = false
  public var predictionType = PredictionType.epsilon

  // MARK: The steps

  /// Nil for the scheduler's own: leading for DDIM, PNDM and DDPM, linspace for those of noise levels.
  public var spacing: TimestepSpacing?
  /// Added to each timestep of leading spacing.
  public var stepsOffset = 1
  /// DDIM and PNDM: whether the last step ends without noise, not with that of the first timestep.
  public var setAlphaToOne: Bool? = false
  /// DDIM and DDPM: predicted clean samples are limited to plus or minus this; nil without a limit.
  public var clipRange: Double?
  /// PNDM: whether it begins with multistep steps at once, without the Runge-Kutta steps of the paper.
  public var skipsRungeKutta = true
  /// LMS, DPM-Solver++ and Euler: noise levels as Karras et al. (2022) space them.
  public var usesKarrasSigmas = false
  /// DPM-Solver++ and Euler.
  public var finalSigma = FinalSigma.zero
  /// DPM-Solver++: 1 or 2.
  public var solverOrder = 2
  /// DPM-Solver++: whether runs of fewer than 15 steps end with one of first order.
  public var lowersFinalOrder = true
  /// DPM-Solver++: whether every run does.
  public var endsWithEuler = false
  /// DPM-Solver++: the smallest half log signal-to-noise ratio that a run begins at.
  public var smallestLogSNR = -Double.infinity
  /// DDPM.
  public var posteriorVariance = PosteriorVariance.small

  /// Stable Diffusion v1's schedule, sampled by DDIM.
  public init() {}

  /// Reads a diffusers configuration; absent keys have the defaults of diffusers' class.
  ///
  /// - Parameter named: that of the folder's `model_index.json`, which decides before the file does
  /// - Throws: ``ModelFolderError`` for a value of another type, a scheduler or a setting that Lethe does not support.
  public init(_ file: ConfigurationFile, scheduler named: Scheduler? = nil) throws {
    scheduler = try named ?? Scheduler(className: file.string("_class_name"), in: file, "_class_name")
    trainTimesteps = try file.integer("num_train_timesteps", default: 1000)
    betaStart = try file.number("beta_start", default: 0.0001)
    betaEnd = try file.number("beta_end", default: 0.02)
    guard betaStart > 0, betaStart <= betaEnd, betaEnd < 1 else {
      throw file.error("beta_end", "0 < beta_start <= beta_end < 1 was expected, not \(betaStart) and \(betaEnd)")
    }
    betaSchedule = try file.choice("beta_schedule", default: .linear)
    hasZeroTerminalSNR = try file.boolean("rescale_betas_zero_snr", default: false)
    predictionType = try file.choice("prediction_type", default: .epsilon)
    spacing = file.has("timestep_spacing") ? try file.choice("timestep_spacing", default: .leading) : nil
    stepsOffset = try file.integer("steps_offset", default: 0, atLeast: 0)
    setAlphaToOne = file.has("set_alpha_to_one") ? try file.boolean("set_alpha_to_one", default: false) : nil
    let clips = try file.boolean("clip_sample", default: true)
    clipRange = clips ? try file.number("clip_sample_range", default: 1) : nil
    if let clipRange, !(clipRange > 0) {
      throw file.error("clip_sample_range", "a number above 0 was expected, not \(clipRange)")
    }
    // A folder of another scheduler does not speak of them; every Stable Diffusion folder that names PNDM skips them.
    skipsRungeKutta = try file.boolean("skip_prk_steps", default: scheduler != .pndm)
    usesKarrasSigmas = try file.boolean("use_karras_sigmas", default: false)
    finalSigma = try file.choice("final_sigmas_type", default: .zero)
    solverOrder = try file.integer("solver_order", default: 2)
    guard solverOrder <= 2 else { throw file.error("solver_order", "\(solverOrder) is not supported, only 1 or 2") }
    lowersFinalOrder = try file.boolean("lower_order_final", default: true)
    endsWithEuler = try file.boolean("euler_at_final", default: false)
    smallestLogSNR = try file.number("lambda_min_clipped", default: -.infinity)
    posteriorVariance = try file.choice("variance_type", default: .small)
    try refuseUnsupported(file)
  }

  /// Reads that of a diffusers folder: of the class that its index names, or of that in its own file where the index
  /// names none.
  ///
  /// - Throws: ``ModelFolderError``
  public init(folder path: String) throws {
    let index = try ConfigurationFile(path: path + "/model_index.json")
    let name = index.value("scheduler")?[1]?.string
    try self.init(
      ConfigurationFile(path: path + "/scheduler/scheduler_config.json"),
      scheduler: name.map { try Scheduler(className: $0, in: index, "scheduler") })
  }

  private func refuseUnsupported(_ file: ConfigurationFile) throws {
    try file.require("trained_betas", .null)
    try file.require("algorithm_type", .string("dpmsolver++"), absent: .string("dpmsolver++"))
    try file.require("solver_type", .string("midpoint"), absent: .string("midpoint"))
    try file.require("interpolation_type", .string("linear"), absent: .string("linear"))
    try file.require("timestep_type", .string("discrete"), absent: .string("discrete"))
    for key in SchedulerConfig.unsupported { try file.require(key, .bool(false), .null) }
    for key in ["sigma_min", "sigma_max"] { try file.require(key, .null) }
    try file.refuseOthers(
      than: SchedulerConfig.keys + SchedulerConfig.unsupported,
      // They belong to dynamic thresholding and to flows, which are refused above.
      harmless: ["dynamic_thresholding_ratio", "sample_max_value", "flow_shift", "time_shift_type"])
  }

  private static let unsupported = [
    "thresholding", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "use_flow_sigmas",
    "use_dynamic_shifting",
  ]

  private static let keys = [
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "rescale_betas_zero_snr", "prediction_type",
    "timestep_spacing", "steps_offset", "set_alpha_to_one", "clip_sample", "clip_sample_range", "skip_prk_steps",
    "use_karras_sigmas", "final_sigmas_type", "solver_order", "lower_order_final", "euler_at_final",
    "lambda_min_clipped", "variance_type", "trained_betas", "algorithm_type", "solver_type", "interpolation_type",
    "timestep_type", "sigma_min", "sigma_max",
  ]

  /// The spacing in force.
  public var effectiveSpacing: TimestepSpacing {
    if let spacing { return spacing }
    switch scheduler {
    case .ddim, .pndm, .ddpm: return .leading
    case .lms, .dpmSolver, .euler: return .linspace
    }
  }

  /// Whether the last step of DDIM or PNDM ends without noise.
  var endsWithoutNoise: Bool { setAlphaToOne ?? (scheduler == .ddim) }
}

extension SchedulerConfig {
  /// The configuration as diffusers writes it: the keys of the scheduler's class, and of the others those that are not
  /// at their defaults.
  public var json: JSON {
    var json: [String: JSON] = [
      "_class_name": .string(scheduler.className),
      "_diffusers_version": .string(writtenDiffusersVersion),
      "num_train_timesteps": .integer(trainTimesteps),
      "beta_start": .number(betaStart),
      "beta_end": .number(betaEnd),
      "beta_schedule": .string(betaSchedule.rawValue),
      "timestep_spacing": .string(effectiveSpacing.rawValue),
      "steps_offset": .integer(stepsOffset),
      "prediction_type": .string(predictionType.rawValue),
    ]
    func set(_ key: String, _ value: JSON, default usual: JSON, of schedulers: Scheduler...) {
      if value != usual || schedulers.contains(scheduler) { json[key] = value }
    }
    set("rescale_betas_zero_snr", .bool(hasZeroTerminalSNR), default: false, of: .ddim, .dpmSolver, .euler, .ddpm)
    if setAlphaToOne != nil || scheduler == .ddim || scheduler == .pndm {
      json["set_alpha_to_one"] = .bool(endsWithoutNoise)
    }
    set("clip_sample", .bool(clipRange != nil), default: true, of: .ddim, .ddpm)
    set("clip_sample_range", .number(clipRange ?? 1), default: .number(1), of: .ddim, .ddpm)
    set("thresholding", false, default: false, of: .ddim, .dpmSolver, .ddpm)
    set("skip_prk_steps", .bool(skipsRungeKutta), default: .bool(scheduler != .pndm), of: .pndm)
    set("use_karras_sigmas", .bool(usesKarrasSigmas), default: false, of: .lms, .dpmSolver, .euler)
    set("final_sigmas_type", .string(finalSigma.rawValue), default: "zero", of: .dpmSolver, .euler)
    set("solver_order", .integer(solverOrder), default: 2, of: .dpmSolver)
    set("lower_order_final", .bool(lowersFinalOrder), default: true, of: .dpmSolver)
    set("euler_at_final", .bool(endsWithEuler), default: false, of: .dpmSolver)
    if smallestLogSNR.isFinite { json["lambda_min_clipped"] = .number(smallestLogSNR) }
    set("variance_type", .string(posteriorVariance.rawValue), default: "fixed_small", of: .ddpm)
    return .object(json)
  }
}

extension ConfigurationFile {
  func choice<Value: RawRepresentable & CaseIterable>(
    _ key: String, default fallback: Value
  ) throws -> Value where Value.RawValue == String {
    let name = try string(key, default: fallback.rawValue)
    guard let value = Value(rawValue: name) else {
      let known = Value.allCases.map(\.rawValue)
      throw error(key, "\"\(name)\" is not supported, only \(known.joined(separator: ", "))")
    }
    return value
  }
}
