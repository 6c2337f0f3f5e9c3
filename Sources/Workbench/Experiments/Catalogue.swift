internal import Attacks
public import Configuration
internal import Erasure
internal import Metrics

/// Which kind of thing an experiment chooses by name.
public enum ComponentKind: String, CaseIterable, Sendable {
  case technique, attack, metric
}

/// The techniques, attacks and metrics that an experiment may name, each with the type of its configuration.
///
/// Adding one is its own file and one line here.
public struct Catalogue: Sendable {
  public let techniques: [String: any Configuration.Type]
  public let attacks: [String: any Configuration.Type]
  public let metrics: [String: any Configuration.Type]

  public init(
    techniques: [String: any Configuration.Type], attacks: [String: any Configuration.Type] = [:],
    metrics: [String: any Configuration.Type]
  ) {
    self.techniques = techniques
    self.attacks = attacks
    self.metrics = metrics
  }

  /// Everything that is built.
  public static let standard = Catalogue(
    techniques: [
      "ac": ACConfiguration.self,
      "base": BaseConfiguration.self,
      "ca": ACConfiguration.self,
      "cad_amplify": CADAmplifyConfiguration.self,
      "cad_erase": CADEraseConfiguration.self,
      "concept_prune": ConceptPruneConfiguration.self,
      "esd": ESDConfiguration.self,
      "fmn": FMNConfiguration.self,
      "free_run": BaseConfiguration.self,
      "mace": MACEConfiguration.self,
      "np_esd": NPESDConfiguration.self,
      "p_ac": PACConfiguration.self,
      "p_esd": PESDConfiguration.self,
      "post_prune": PostPruneConfiguration.self,
      "pre_prune": PrePruneConfiguration.self,
      "rece": RECEConfiguration.self,
      "saeuron": SAeUronConfiguration.self,
      "sdd": SDDConfiguration.self,
      "sld": SLDConfiguration.self,
      "ssd": SSDConfiguration.self,
      "surgical": SurgicalConfiguration.self,
      "uce": UCEConfiguration.self,
    ],
    attacks: [
      "mma": MMAConfiguration.self,
      "p4d": P4DConfiguration.self,
      "random_tokens": RandomTokensConfiguration.self,
      "ring_a_bell": RingABellConfiguration.self,
      "unlearn_diff": UnlearnDiffConfiguration.self,
    ],
    metrics: [
      "accuracy": TargetAccuracyConfiguration.self,
      "asr_custom": ASRRingABellConfiguration.self,
      "asr_i2p": ASRI2PConfiguration.self,
      "asr_mma_diffusion": ASRMMADiffusionConfiguration.self,
      "asr_p4d": ASRP4DConfiguration.self,
      "asr_ring_a_bell": ASRRingABellConfiguration.self,
      "cer": CERConfiguration.self,
      "clip_score": CLIPScoreConfiguration.self,
      "cost": CostConfiguration.self,
      "detections": DetectionsConfiguration.self,
      "err": ERRConfiguration.self,
      "fid": FIDConfiguration.self,
      "kid": KIDConfiguration.self,
      "lpips": LPIPSConfiguration.self,
      "prompt_accuracy": PromptAccuracyConfiguration.self,
      "prune_ratio": PruneRatioConfiguration.self,
      "sensitivity": SensitivityConfiguration.self,
      "ssim": SSIMConfiguration.self,
      "tifa": TIFAConfiguration.self,
      "ua_ira": UAIRAConfiguration.self,
    ])

  /// Names from the source documents that are still to be built: their experiments parse and cannot run yet.
  static let notBuilt: [ComponentKind: [String]] = [
    .technique: ["advunlearn", "cogfd", "concept_steerers", "safree", "salun", "trasce"]
  ]

  /// Whether a name is that of a technique, attack or metric that is still to be built.
  public static func isPlanned(_ name: String) -> Bool { notBuilt.values.contains { $0.contains(name) } }

  /// The names of all that is built.
  public var names: [String] { ComponentKind.allCases.flatMap { entries($0).keys.sorted() } }

  /// The configuration types of one kind by name.
  public func entries(_ kind: ComponentKind) -> [String: any Configuration.Type] {
    switch kind {
    case .technique: techniques
    case .attack: attacks
    case .metric: metrics
    }
  }

  /// The configuration type of a technique, attack or metric; `nil` for one that is known but not built yet.
  ///
  /// Throws for a name that nobody knows, with the nearest one that somebody does.
  public func configuration(
    of kind: ComponentKind, named name: String
  ) throws(ConfigurationError) -> (any Configuration.Type)? {
    if let type = entries(kind)[name] { return type }
    let planned = Self.notBuilt[kind, default: []]
    guard !planned.contains(name) else { return nil }
    let built = entries(kind).keys.sorted()
    let hint = nearest(to: name, among: built + planned).map { "; did you mean \"\($0)\"?" }
    throw ConfigurationError(
      "there is no \(kind) \"\(name)\"" + (hint ?? "; there are \(built.joined(separator: ", "))"))
  }

  /// The configuration table of a technique, attack or metric, whichever has the name.
  public func table(of name: String) throws(ConfigurationError) -> (kind: ComponentKind, rows: [FieldDescription]) {
    for kind in ComponentKind.allCases {
      if let type = entries(kind)[name] { return (kind, type.table) }
      if Self.notBuilt[kind, default: []].contains(name) {
        throw ConfigurationError("the \(kind) \"\(name)\" is not built yet")
      }
    }
    throw ConfigurationError(
      "there is no technique, attack or metric \"\(name)\"" + suggestion(for: name, among: names))
  }
}
