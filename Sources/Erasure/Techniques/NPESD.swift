public import Configuration
public import Diffusion
public import Tensors

/// NP-ESD (arXiv 2405.16534, section 4.5; methods 1.6): ESD, and in every ResNet block the neurons that it changes the
/// most are zero while images are drawn.
///
/// It has no `save_path`: a file of weights cannot hold the channels that are zero at inference. The weights alone are
/// those of ESD with the same settings, which saves them.
public struct NPESDConfiguration: Configuration {
  public var training = ESDSettings()
  public var neuronPrompts: [String]?
  public var neuronSamples = 4
  public var neuronScore = ConceptNeurons.Score.reduction
  public var neuronPosition = 0.6
  public var neuronsPerLayer = 1
  public var generation = GenerationSettings()

  public init() {}

  public static let fields: [Field<NPESDConfiguration>] =
    ESDSettings.fields.map { $0.inside(\.training) } + [
      Field(
        "neuron_prompts", \.neuronPrompts, .each(.notEmpty),
        "Prompts with the concept, under which neurons are compared; those that are erased if unset", source: paper,
        role: .prompt),
      Field(
        "neuron_samples", \.neuronSamples, .atLeast(1), "Drawings for each of these prompts", source: "own"),
      Field(
        "neuron_score", \.neuronScore,
        "What a neuron's maps in the original and the erased model are compared by: the mean reduction (reduction), "
          + "the mean absolute difference (absolute) or the norm of the difference (norm)",
        source: paper),
      Field(
        "neuron_position", \.neuronPosition, Rule("at least 0 and less than 1") { $0 >= 0 && $0 < 1 },
        "The share of the steps that is done where neurons are compared", source: "\(paper): step 30 of 50"),
      Field(
        "neurons_per_layer", \.neuronsPerLayer, .atLeast(1), "Neurons of every ResNet block that are set to zero",
        source: paper),
    ] + GenerationSettings.fields.map { $0.inside(\.generation) }

  public var inForce: [String: JSON] { training.inForce }

  public var warnings: [String] { training.warnings }

  public func validate() throws(ConfigurationError) { try training.validate() }
}

extension NPESDConfiguration: Technique {
  public static let name = "np_esd"
  public static let sourceFile = #fileID
  public static let summary = TechniqueSummary(
    .hook, "NP-ESD: ESD with the concept's neurons silenced",
    paper: "arXiv 2405.16534", cost: "that of ESD, and two partial drawings for each prompt and sample")

  public func check(_ model: DiffusionModel) throws {
    _ = try training.trainMethod.names(in: model.unetWeights)
    for (name, weight) in model.unetWeights.tensors where name.hasSuffix(".conv2.weight") {
      guard neuronsPerLayer < weight.shape[1] else {
        throw ErasureError(
          "neurons_per_layer is \(neuronsPerLayer), which leaves none of the \(weight.shape[1]) of "
            + "'\(name.dropLast(".conv2.weight".count))'")
      }
    }
  }

  public func estimates(seed: UInt64) -> [Estimate] {
    [ESDTraining(training, steps: samplerSettings.steps, seed: seed).estimate]
  }

  private func neurons(seed: UInt64) -> ConceptNeurons {
    ConceptNeurons(
      prompts: neuronPrompts ?? training.prompts, samplesPerPrompt: neuronSamples,
      step: Int(neuronPosition * Double(samplerSettings.steps)), score: neuronScore, sampler: samplerSettings,
      seed: seed)
  }

  public var trainingMemory: TrainingMemory? { training.trainingMemory }

  public var editWork: ModelWork? { neurons(seed: 0).work }

  public func edit(_ context: EditContext) throws -> ModelEdit {
    try check(context.model)
    let trained = try context.estimate("esd")
    let scores = try neurons(seed: context.seed).scores(
      original: context.model, erased: context.model.replacingUNetWeights(trained), monitor: context.monitor)
    var edit = ModelEdit(replacedUNetTensors: trained)
    var found: [String: JSON] = [:]
    for (layer, scores) in scores {
      let channels = ConceptNeurons.largest(neuronsPerLayer, of: scores)
      edit.inferenceTensors[layer] = Tensor.make([1, scores.count, 1, 1]) { out in
        out.update(repeating: 1)
        for channel in channels { out[channel] = 0 }
      }
      let values = scores.values
      found[layer] = [
        "channels": .array(channels.map { .integer($0) }),
        "scores": .array(channels.map { .number(Double(values[$0])) }),
        "mean_score_of_others": .number(mean(values.indices.filter { !channels.contains($0) }.map { values[$0] })),
      ]
    }
    var details = ChangeFigures(trained, from: context.model.unetWeights).members
    details["neurons"] = .object(found)
    edit.details = .object(details)
    return edit
  }

  private func mean(_ values: [Float]) -> Double {
    values.reduce(0) { $0 + Double($1) } / Double(max(values.count, 1))
  }

  /// The second convolution of a block reads the activation that is multiplied: its columns can be, instead.
  public func weightsInPlaceOfHooks(
    _ model: DiffusionModel, tensors: [String: Tensor]
  ) throws -> [String: Tensor]? {
    try tensors.reduce(into: [:]) { weights, silenced in
      let name = "\(silenced.key).conv2.weight"
      guard let weight = model.unetWeights[name], weight.shape[1] == silenced.value.count else {
        throw ErasureError("the UNet has no ResNet block '\(silenced.key)' of \(silenced.value.count) channels")
      }
      weights[name] = weight * silenced.value
    }
  }

  /// Multiplies the last activation of each ResNet block by 0 in its concept neurons and by 1 elsewhere, at every step,
  /// place and text.
  public func intervention(_ model: DiffusionModel, tensors: [String: Tensor]) throws -> SamplingIntervention {
    for (layer, kept) in tensors {
      guard model.unetWeights["\(layer).conv2.weight"]?.shape[1] == kept.count else {
        throw ErasureError("the UNet has no ResNet block '\(layer)' of \(kept.count) channels")
      }
    }
    var hooks = UNetHooks()
    hooks.residualActivation = { layer, activation in tensors[layer].map { activation * $0 } ?? activation }
    return SamplingIntervention(hooks: { [hooks] _ in hooks })
  }
}

private let paper = "seed document 001, sections 3.2 and 4.5"
