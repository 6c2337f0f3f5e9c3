public import Attacks
internal import Configuration
internal import Diffusion

/// The attack under which a metric looks at its images.
public struct MetricUnderAttack: Sendable {
  /// What plans and records call the attack; unique among those of an experiment.
  public var name: String
  /// What the names of the metric's values end in, and those under the control before `_control`.
  public var suffix: String
  public var attack: any Attack
  /// What is attacked for each of ``Metric/requests(_:)``, in their order. Requests that differ in their repetition
  /// alone may share one target: they are images of one adversarial prompt.
  public var targets: [AttackTarget]

  public init(name: String, suffix: String, attack: any Attack, targets: [AttackTarget]) {
    self.name = name
    self.suffix = suffix
    self.attack = attack
    self.targets = targets
  }
}

extension MetricContext {
  /// The experiment's attack of this name.
  ///
  /// - Throws: ``MetricError`` where it has none.
  func attack(_ name: String, for metric: String) throws -> any Attack {
    if let attack = attacks[name] { return attack }
    let known = attacks.keys.sorted()
    throw MetricError(
      "\(metric): the experiment has no attack \"\(name)\""
        + (known.isEmpty ? "; \"attacks\" lists none" : suggestion(for: name, among: known)))
  }
}
