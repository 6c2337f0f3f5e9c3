internal import Attacks
internal import Configuration
internal import Diffusion
internal import Erasure
internal import Metrics
internal import Store
internal import Tensors

/// One metric of a point that looks into the edited model.
struct ModelMetricStage {
  static let sourceFile = #fileID

  /// As the experiment names it, with the attack that it is measured under.
  let name: String
  let metric: any ModelMetric
  let context: MetricContext
  let underAttack: MetricUnderAttack?
  /// How its values are measured, so far as that is the same for all of them.
  let measurement: MeasurementProtocol
  private let sampler: SamplerSettings
  private let parts: [String: JSON]

  /// As plans and records name the stage.
  var stageName: String { "metric.\(name)" }

  init(
    _ component: Component, _ metric: any ModelMetric, _ context: MetricContext, sampler: SamplerSettings,
    base: BaseModel, code: ComputingCode, siblings: [String]
  ) throws {
    try metric.check(context)
    name = component.label
    self.metric = metric
    self.context = context
    self.sampler = sampler
    underAttack = try metric.underAttack(context)
    measurement = MeasurementProtocol(
      metric: component.name, steps: sampler.steps, guidanceScale: sampler.guidanceScale)
    let rooms = code.parts(rooms: ["CKernels", "Tensors", "Diffusion", "Erasure"], stage: Self.sourceFile)
    let own = code.parts(component: type(of: metric).sourceFile, among: siblings)
    parts = [
      "metric": .string(component.name), "config": component.jsonAffectingResult["config"] ?? [:],
      "base": .string(base.digest.hex), "card": base.cardDigest.map { .string($0.hex) } ?? .null,
      "erased_concepts": .array(context.erasedConcepts.map { .string($0) }), "seed": context.seed.json,
      "code": .object(rooms.merging(own) { $1 }), "blas": code.blas,
    ]
  }

  /// - Parameters:
  ///   - edited: what decides an image of the edited model beside its prompt
  ///   - prompts: by the name of the attack; nil is returned while those that it needs are not found
  func key(edited: [String: JSON], prompts: [String: AdversarialPrompts]) -> StageKey? {
    var parts = parts
    parts["edited"] = .object(edited)
    if let underAttack {
      guard let found = prompts[underAttack.name] else { return nil }
      parts["prompts"] = .string(Digest(hashing: found.csv).hex)
    }
    return StageKey(stage: stageName, parts: .object(parts))
  }

  /// The metric's values as JSON.
  func compute(
    base: DiffusionModel, edited: DiffusionModel, _ edit: ModelEdit, prompts: [String: AdversarialPrompts],
    monitor: WorkMonitor
  ) throws -> JSON {
    let models = MeasuredModels(
      base: base, edited: edited, pruned: edit.pruned,
      maskableElements: edit.details["maskable_elements"]?.integer, sampler: sampler,
      prompts: underAttack.flatMap { prompts[$0.name]?.found } ?? [:])
    let values = try metric.evaluate(models, context, monitor: monitor).map { value in
      var value = value
      value.name += underAttack?.suffix ?? ""
      return value
    }
    return ["format": .string(MetricValues.format), "values": .array(values.map(MetricValues.json))]
  }
}
