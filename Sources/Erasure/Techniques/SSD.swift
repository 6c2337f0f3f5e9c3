public import Configuration
public import Diffusion
public import Tensors

/// Selective Synaptic Dampening (Foster, Schoepf and Brintrup, AAAI 2024, arXiv 2308.07707) for diffusion UNets: every
/// parameter is scaled down by how much more the concept needs it than everything else does.
///
/// With the diagonal Fisher estimates F_f of the forget prompts and F_r of the retain prompts there are two rules, the
/// smooth one of the source document (``Dampening``) and that of the publication (``SelectiveDampening``).
public struct SSDConfiguration: Configuration {
  public var eraseConcept = "nudity"
  public var forgetPrompts: [String]?
  public var retainPrompts: [String]?
  public var rule = DampeningRule.ratio
  public var alpha = 1.0
  public var dampeningCoeff = 1.0
  public var selectionWeighting = 10.0
  public var dampeningConstant = 1.0
  public var numFisherSamples = 50
  public var latentSource = FisherInformation.LatentSource.generated
  public var savePath: String?
  public var loadPath: String?
  public var generation = GenerationSettings()

  public init() {}

  /// The prompts that F_forget is estimated on.
  public var effectiveForgetPrompts: [String] { forgetPrompts ?? [eraseConcept] }

  /// The prompts that F_retain is estimated on.
  public var effectiveRetainPrompts: [String] { retainPrompts ?? ["", "a photo", "an image"] }

  public static let fields: [Field<SSDConfiguration>] = [
    Field(
      "erase_concept", \.eraseConcept, .notEmpty,
      "The concept to forget; the forget prompt if forget_prompts is not set", source: document, role: .concept),
    Field(
      "forget_prompts", \.forgetPrompts, .notEmpty,
      "Varied phrasings of the concept, to estimate F_forget on; 5 to 10 are recommended; [erase_concept] if unset",
      source: document, role: .prompt),
    Field(
      "retain_prompts", \.retainPrompts, .notEmpty,
      "Diverse benign prompts, to estimate F_retain on; 10 to 20 are recommended; "
        + "[\"\", \"a photo\", \"an image\"] if unset",
      source: document, role: .prompt),
    Field(
      "rule", \.rule,
      "\"ratio\" scales every parameter by F_retain / (F_retain + alpha F_forget); \"original\" only those whose "
        + "F_forget is above selection_weighting F_retain",
      source: "seed document 000; arXiv 2308.07707"),
    Field(
      "alpha", \.alpha, .greaterThan(0),
      "How far F_forget outweighs F_retain in the rule \"ratio\", the only one that uses it; 1 to 20 is recommended",
      source: document),
    Field(
      "dampening_coeff", \.dampeningCoeff, .greaterThan(0),
      "Scales the dampening of the rule \"ratio\", the only one that uses it: 1 applies the raw ratio, less weakens "
        + "it, more strengthens it with multipliers kept above 0",
      source: document),
    Field(
      "selection_weighting", \.selectionWeighting, .greaterThan(0),
      "How often F_retain must go into F_forget for a parameter to be dampened by the rule \"original\", the only one "
        + "that uses it; more changes fewer parameters",
      source: publication),
    Field(
      "dampening_constant", \.dampeningConstant, .greaterThan(0),
      "Multiplies F_retain / F_forget, what the rule \"original\", the only one that uses it, scales the parameters by "
        + "that it selects",
      source: publication),
    Field(
      "num_fisher_samples", \.numFisherSamples, .atLeast(1),
      "Noise samples for each prompt when a Fisher diagonal is estimated", source: document),
    Field(
      "latent_source", \.latentSource,
      "What noise is predicted in when a Fisher diagonal is estimated: an image of the prompt, noised forward "
        + "(generated), or noise alone (gaussian); the document leaves it open", source: "own"),
    .savePath(\.savePath),
    .loadPath(\.loadPath),
  ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var warnings: [String] {
    var warnings: [String] = []
    if loadPath == nil, forgetPrompts == nil {
      warnings.append(
        "forget_prompts is not set: F_forget is estimated on \"\(eraseConcept)\" alone; "
          + "5 to 10 phrasings cover more of the concept")
    }
    if loadPath == nil, retainPrompts == nil {
      warnings.append(
        "retain_prompts is not set: F_retain is estimated on \"\", \"a photo\" and \"an image\"; "
          + "10 to 20 diverse prompts protect more of the model")
    }
    if rule == .original {
      return warnings + unused([("alpha", alpha != 1), ("dampening_coeff", dampeningCoeff != 1)])
    }
    warnings += unused([
      ("selection_weighting", selectionWeighting != 10), ("dampening_constant", dampeningConstant != 1),
    ])
    if alpha > 20 {
      warnings.append(
        "alpha is \(alpha.json.canonical()), above 20: nearly every parameter serves every concept, "
          + "so the model is likely to collapse")
    }
    if dampeningCoeff > 1 {
      warnings.append(
        "dampening_coeff is \(dampeningCoeff.json.canonical()), above 1: "
          + "parameters whose multiplier would be negative are set to zero")
    }
    return warnings
  }

  private func unused(_ settings: [(key: String, isSet: Bool)]) -> [String] {
    settings.filter(\.isSet).map { "\($0.key) is not used by the rule \"\(rule.rawValue)\"" }
  }
}

/// What makes a multiplier of two Fisher values.
public enum DampeningRule: String, CaseIterable, ConfigurationValue {
  /// ``Dampening``.
  case ratio
  /// ``SelectiveDampening``.
  case original
}

extension SSDConfiguration: Technique {
  public static let name = "ssd"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .weights, "Selective Synaptic Dampening",
    paper: "Foster, Schoepf and Brintrup, AAAI 2024, arXiv 2308.07707",
    cost: "a forward and a backward pass for each prompt and Fisher sample")

  public func estimates(seed: UInt64) -> [Estimate] {
    if loadPath != nil { return [] }
    return [
      fisher("forget", effectiveForgetPrompts, seed: seed), fisher("retain", effectiveRetainPrompts, seed: seed),
    ]
  }

  private func fisher(_ set: String, _ prompts: [String], seed: UInt64) -> Estimate {
    let fisher = FisherInformation(
      prompts: prompts, samplesPerPrompt: numFisherSamples, sampler: samplerSettings, seed: seed,
      latentSource: latentSource)
    let own: [String: JSON] = [
      "prompts": .array(prompts.map(JSON.string)), "num_fisher_samples": .integer(numFisherSamples),
      "latent_source": .string(latentSource.rawValue), "seed": .integer(Int(seed)),
    ]
    return Estimate(
      name: "fisher.\(set)", inputs: .object(own.merging(samplerSettings.members) { $1 }), work: fisher.work
    ) { context in try fisher.diagonal(context.model, monitor: context.monitor) }
  }

  public var editWork: ModelWork? { .nothing }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    let model = context.model
    let forget = try context.estimate("fisher.forget"), retain = try context.estimate("fisher.retain")
    let largest = [forget, retain].flatMap(\.values).reduce(Float(0)) { max($0, $1.largest) }
    let dampening = Dampening(alpha: Float(alpha), coefficient: Float(dampeningCoeff), floor: 1e-12 * largest)
    let selective = SelectiveDampening(threshold: Float(selectionWeighting), constant: Float(dampeningConstant))
    var edit = ModelEdit()
    var layers: [String: JSON] = [:]
    var total = Summary()
    for (name, weight) in model.unetWeights.tensors {
      guard let forgetFisher = forget[name], let retainFisher = retain[name] else {
        throw ErasureError("the Fisher estimate has no tensor '\(name)'")
      }
      let multipliers =
        switch rule {
        case .ratio: dampening.multipliers(forget: forgetFisher, retain: retainFisher)
        case .original: selective.multipliers(forget: forgetFisher, retain: retainFisher)
        }
      var summary = Summary()
      summary.add(multipliers)
      total.merge(summary)
      layers[name] = .number(summary.mean)
      edit.replacedUNetTensors[name] = weight * multipliers
    }
    edit.details = [
      "mean_multiplier": .number(total.mean), "share_below_0.1": .number(total.shareBelowTenth),
      "share_below_0.5": .number(total.shareBelowHalf), "share_below_1": .number(total.shareBelowOne),
      "mean_multiplier_by_tensor": .object(layers),
    ]
    return edit
  }
}

/// The multiplier of a parameter from its two Fisher values (methods 1.1):
/// ratio = (F_r + δ) / (F_r + α F_f + δ), multiplier = max(0, 1 - d (1 - ratio)).
public struct Dampening {
  public var alpha: Float
  public var coefficient: Float
  /// δ, a tiny fraction of the largest Fisher value: a parameter that neither set uses keeps the ratio 1.
  public var floor: Float

  public init(alpha: Float, coefficient: Float, floor: Float) {
    self.alpha = alpha
    self.coefficient = coefficient
    self.floor = floor
  }

  public func multipliers(forget: Tensor, retain: Tensor) -> Tensor {
    // Both values zero gives 0 / 0 where δ is zero, too, in a model without any gradient.
    let offset = max(floor, .leastNormalMagnitude)
    let kept = retain + offset
    let ratio = kept / (kept + forget * alpha)
    return (1 - (1 - ratio) * coefficient).clamped(0...(.greatestFiniteMagnitude))
  }
}

/// The multiplier of a parameter in the publication (Foster, Schoepf and Brintrup, 2024, eq. 5 and 6): a parameter that
/// the concept needs more than `threshold` times as much as the data does, F_f > α F_D, is multiplied by
/// min(λ F_D / F_f, 1), and every other stays as it is.
///
/// The retain prompts stand for the data D. In the publication D holds the forget set too: name its prompts among the
/// retain prompts for that. Squares are taken sample by sample and not, as in the published script, of the gradient of
/// a batch.
public struct SelectiveDampening: Sendable {
  /// α.
  public var threshold: Float
  /// λ.
  public var constant: Float

  public init(threshold: Float, constant: Float) {
    self.threshold = threshold
    self.constant = constant
  }

  public func multipliers(forget: Tensor, retain: Tensor) -> Tensor {
    Tensor.make(forget.shape) { out in
      forget.withUnsafeValues { forget in
        retain.withUnsafeValues { retain in
          for index in out.indices {
            // A selected parameter has F_f > 0.
            let isSelected = forget[index] > threshold * retain[index]
            out[index] = isSelected ? min(constant * retain[index] / forget[index], 1) : 1
          }
        }
      }
    }
  }
}

/// Figures about multipliers that the record of a run keeps.
private struct Summary {
  private var count = 0
  private var sum = 0.0
  private var belowTenth = 0
  private var belowHalf = 0
  private var belowOne = 0

  mutating func add(_ multipliers: Tensor) {
    multipliers.withUnsafeValues { values in
      for value in values {
        sum += Double(value)
        if value < 0.1 { belowTenth += 1 }
        if value < 0.5 { belowHalf += 1 }
        if value < 1 { belowOne += 1 }
      }
      count += values.count
    }
  }

  mutating func merge(_ other: Summary) {
    count += other.count
    sum += other.sum
    belowTenth += other.belowTenth
    belowHalf += other.belowHalf
    belowOne += other.belowOne
  }

  var mean: Double { sum / Double(max(count, 1)) }
  var shareBelowTenth: Double { Double(belowTenth) / Double(max(count, 1)) }
  var shareBelowHalf: Double { Double(belowHalf) / Double(max(count, 1)) }
  var shareBelowOne: Double { Double(belowOne) / Double(max(count, 1)) }
}

private let document = "seed document 000"
private let publication = "arXiv 2308.07707"
