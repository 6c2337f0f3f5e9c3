public import Configuration

/// A noise schedule and how it is sampled: the `scheduler/scheduler_config.json` of a diffusers folder.
public struct DDIMConfig: Sendable, Equatable {
  /// How the variance β of a noising step grows over the training timesteps.
  public enum BetaSchedule: String, Sendable, CaseIterable {
    /// β grows evenly.
    case linear
    /// √β grows evenly, as in latent diffusion.
    case scaledLinear = "scaled_linear"
  }

  /// Which of the training timesteps a run of fewer steps visits (Lin et al., 2024, table 2).
  public enum TimestepSpacing: String, Sendable, CaseIterable {
    case leading, trailing, linspace
  }

  public var trainTimesteps = 1000
  public var betaStart = 0.00085
  public var betaEnd = 0.012
  public var betaSchedule = BetaSchedule.scaledLinear
  public var spacing = TimestepSpacing.leading
  /// Added to each timestep of leading spacing.
  public var stepsOffset = 1
  /// Whether the last step ends without noise, not with that of the first timestep.
  public var setAlphaToOne = false
  /// Predicted clean samples are limited to plus or minus this; nil without a limit.
  public var clipRange: Double?

  /// Stable Diffusion v1's schedule.
  public init() {}

  /// Reads a diffusers configuration; absent keys have the defaults of diffusers' `DDIMScheduler`.
  ///
  /// Folders name the scheduler their authors liked best (Stable Diffusion v1 names PNDM); the noise schedule is the
  /// same for all, and Lethe samples it by DDIM.
  ///
  /// - Throws: ``ModelFolderError`` for a value of another type, or a setting that Lethe does not support.
  public init(_ file: ConfigurationFile) throws {
    trainTimesteps = try file.integer("num_train_timesteps", default: 1000)
    betaStart = try file.number("beta_start", default: 0.0001)
    betaEnd = try file.number("beta_end", default: 0.02)
    guard betaStart > 0, betaStart <= betaEnd, betaEnd < 1 else {
      throw file.error("beta_end", "0 < beta_start <= beta_end < 1 was expected, not \(betaStart) and \(betaEnd)")
    }
    betaSchedule = try file.choice("beta_schedule", default: .linear)
    spacing = try file.choice("timestep_spacing", default: .leading)
    stepsOffset = try file.integer("steps_offset", default: 0, atLeast: 0)
    setAlphaToOne = try file.boolean("set_alpha_to_one", default: true)
    let clips = try file.boolean("clip_sample", default: true)
    clipRange = clips ? try file.number("clip_sample_range", default: 1) : nil
    if let clipRange, !(clipRange > 0) {
      throw file.error("clip_sample_range", "a number above 0 was expected, not \(clipRange)")
    }
    try file.require("prediction_type", .string("epsilon"), absent: .string("epsilon"))
    try file.require("trained_betas", .null)
    try file.require("thresholding", .bool(false), absent: .bool(false))
    try file.require("rescale_betas_zero_snr", .bool(false), absent: .bool(false))
    try file.refuseOthers(
      than: DDIMConfig.settings,
      // The first two belong to dynamic thresholding, which is refused above; the last to other schedulers.
      harmless: ["dynamic_thresholding_ratio", "sample_max_value", "skip_prk_steps"])
  }

  private static let settings = [
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "timestep_spacing", "steps_offset",
    "set_alpha_to_one", "clip_sample", "clip_sample_range", "prediction_type", "trained_betas", "thresholding",
    "rescale_betas_zero_snr",
  ]

  /// The configuration as diffusers writes it.
  public var json: JSON {
    .object([
      "_class_name": .string("DDIMScheduler"),
      "_diffusers_version": .string(writtenDiffusersVersion),
      "num_train_timesteps": .integer(trainTimesteps),
      "beta_start": .number(betaStart),
      "beta_end": .number(betaEnd),
      "beta_schedule": .string(betaSchedule.rawValue),
      "timestep_spacing": .string(spacing.rawValue),
      "steps_offset": .integer(stepsOffset),
      "set_alpha_to_one": .bool(setAlphaToOne),
      "clip_sample": .bool(clipRange != nil),
      "clip_sample_range": .number(clipRange ?? 1),
      "prediction_type": .string("epsilon"),
      "thresholding": .bool(false),
      "rescale_betas_zero_snr": .bool(false),
    ])
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
