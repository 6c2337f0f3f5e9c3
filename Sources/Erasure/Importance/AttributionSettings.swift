internal import Configuration
internal import Diffusion
internal import Tensors

/// What CAD-Erase and CAD-Amplify are told alike: what the attribution is computed on, and which weights it decides
/// over. Both ask for the attribution in the same words, so that they share it where its settings agree.
struct AttributionSettings: Sendable {
  var objective: ConceptAttribution.Objective
  var prompts: [String]?
  var basePrompt = ""
  var attributionSteps = 50
  var startGuidance: Double
  var numEstimates: Int
  var timestepPairing = TimestepPairing.next
  var modules = [AttributedModules.feedForward]
  var ablateRatio = 0.001
  var flatten = false
  var ablateZero = false

  init(_ objective: ConceptAttribution.Objective, startGuidance: Double, numEstimates: Int) {
    self.objective = objective
    self.startGuidance = startGuidance
    self.numEstimates = numEstimates
  }

  /// With the names of the published script where it has one.
  static let fields: [Field<AttributionSettings>] = [
    Field(
      "prompts", \.prompts, .notEmpty, "Prompts that name the concept; its name alone if unset",
      source: "arXiv 2412.02542, script", role: .prompt),
    Field(
      "base_prompt", \.basePrompt, "What the objective \"guidance\" leads away from; not used by \"denoising\"",
      source: "arXiv 2412.02542, script", role: .prompt),
    Field(
      "objective", \.objective,
      "What weights are attributed: \"guidance\" is how far the concept leads away from the base prompt (eq. 4), "
        + "\"denoising\" how well noise is told from pictures of the concept (eq. 5)",
      source: "arXiv 2412.02542, eq. 4 and 5"),
    Field(
      "attribution_steps", \.attributionSteps, .between(1...1000),
      "DDIM steps of the attribution, each visited once a round",
      source: "arXiv 2412.02542, script"),
    Field(
      "start_guidance", \.startGuidance, .atLeast(0),
      "Guidance scale that the latents of the attribution are drawn with",
      source: "arXiv 2412.02542, script"),
    Field(
      "n_est", \.numEstimates, .atLeast(1),
      "Rounds over all steps for each prompt, from fresh noise; with \"denoising\" each is a picture of its own",
      source: "arXiv 2412.02542, script"),
    Field(
      "timestep_pairing", \.timestepPairing,
      "Which timestep a latent of the objective \"guidance\" is asked about with: \"next\" is that of the step to "
        + "come, \"last\" that of the step just executed, one too early, as in the published script",
      source: "arXiv 2412.02542, script"),
    Field(
      "modules", \.modules, .notEmpty,
      "Which weights may be removed: ff (feed-forward), attn1 (self-attention), attn2 (cross-attention), residual "
        + "(convolutions)",
      source: "arXiv 2412.02542, table 8"),
    Field(
      "ablate_ratio", \.ablateRatio, .between(0...1),
      "The share of each row that is removed at most, rounded down to whole weights; 0 removes nothing",
      source: "arXiv 2412.02542, script"),
    Field(
      "flatten", \.flatten, "Rank the weights of a whole matrix together and not row by row",
      source: "arXiv 2412.02542, script"),
    Field(
      "ablate_zero", \.ablateZero,
      "Also remove weights of attribution 0 to fill the ratio, as the published script does",
      source: "arXiv 2412.02542, script"),
  ]

  func attribution(_ concept: String, seed: UInt64) -> ConceptAttribution {
    ConceptAttribution(
      objective: objective, prompts: prompts ?? [concept], basePrompt: basePrompt,
      steps: attributionSteps, startGuidance: startGuidance, rounds: numEstimates, pairing: timestepPairing, seed: seed)
  }

  func estimate(_ concept: String, seed: UInt64) -> Estimate {
    let attribution = attribution(concept, seed: seed)
    return Estimate(
      name: "attribution", inputs: attribution.inputs, work: attribution.work,
      sourceFile: ConceptAttribution.sourceFile
    ) {
      try attribution.values($0.model, monitor: $0.monitor)
    }
  }

  func check(_ model: DiffusionModel) throws {
    let names = try AttributedModules.names(modules, in: model.unetWeights)
    try selection(.positive).check(names.compactMap { model.unetWeights[$0] })
  }

  private func selection(_ direction: AttributionSelection.Direction) -> AttributionSelection {
    AttributionSelection(direction, ratio: ablateRatio, isFlattened: flatten, takesZero: ablateZero)
  }

  func edit(_ direction: AttributionSelection.Direction, _ context: EditContext) throws -> ModelEdit {
    let attribution = try context.estimate("attribution")
    let names = try AttributedModules.names(modules, in: context.model.unetWeights)
    let mask = try selection(direction).mask(attribution, of: names)
    let weights = names.reduce(0) { $0 + (attribution[$1]?.count ?? 0) }
    return ModelEdit(
      pruned: mask,
      details: [
        "ablated": .integer(mask.prunedCount),
        "share_of_modules": .number(Double(mask.prunedCount) / Double(weights)),
        "share_of_unet": .number(Double(mask.prunedCount) / Double(context.model.unetWeights.parameterCount)),
        // What the objective should lose, to first order.
        "attribution_ablated": .number(Self.sum(of: attribution, over: mask)),
        "ablated_by_tensor": .object(mask.elements.mapValues { .integer($0.count) }),
      ])
  }

  var warnings: [String] {
    objective == .denoising && !basePrompt.isEmpty
      ? ["base_prompt is not used by the objective \"denoising\""] : []
  }

  private static func sum(of attribution: [String: Tensor], over mask: PruningMask) -> Double {
    mask.elements.sorted { $0.key < $1.key }.reduce(0) { sum, element in
      let values = attribution[element.key]?.values ?? []
      return element.value.reduce(sum) { $0 + Double(values[$1]) }
    }
  }
}
