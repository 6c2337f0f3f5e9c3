public import Configuration
public import Diffusion
internal import Foundation
public import Tensors

/// What concept ablation trains on and towards (Kumari et al., ICCV 2023, arXiv 2303.13516): images of an anchor
/// concept, and prompts that name the erased concept in its place. ``ACConfiguration`` follows it with weights, P-AC
/// with masks.
public struct ConceptAblation {
  /// How an anchor prompt becomes a prompt of the concept.
  public enum ConceptType: String, CaseIterable, ConfigurationValue {
    /// The anchor's words are replaced by the concept's; an anchor "*" stands for the whole prompt.
    case object
    /// The prompt stays, and the style is added in one of three phrases.
    case style
  }

  /// What the noise predicted under the concept's prompt is drawn to.
  public enum LossType: String, CaseIterable, ConfigurationValue {
    /// The noise predicted under the anchor prompt in the same latent.
    case modelBased = "model-based"
    /// The noise itself: the concept's prompt is taught the anchor's images.
    case noiseBased = "noise-based"
  }

  /// Whose prediction under the anchor prompt is the target of the model-based loss.
  public enum AnchorModel: String, CaseIterable, ConfigurationValue {
    /// The model as it is at that step, without a gradient (both public repositories).
    case current
    /// The model before the edit (P-AC's paper, equation 3).
    case original
  }

  public var concept: String
  public var anchor: String
  public var conceptType: ConceptType
  public var anchorPrompts: [String]
  public var lossType: LossType
  /// The weight of the denoising loss on anchor images under anchor prompts; nil leaves that loss out.
  public var priorWeight: Float?

  public init(
    concept: String, anchor: String, conceptType: ConceptType, anchorPrompts: [String], lossType: LossType,
    priorWeight: Float?
  ) {
    self.concept = concept
    self.anchor = anchor
    self.conceptType = conceptType
    self.anchorPrompts = anchorPrompts
    self.lossType = lossType
    self.priorWeight = priorWeight
  }

  /// The prompts that name the concept where `anchorPrompt` names the anchor; for a style one for each phrase.
  ///
  /// - Throws: ``ErasureError`` where the prompt does not name the anchor that an object takes the place of.
  public func targetPrompts(_ anchorPrompt: String) throws(ErasureError) -> [String] {
    switch conceptType {
    case .style:
      return [
        "\(anchorPrompt), in the style of \(concept)", "in \(concept)'s style, \(anchorPrompt)",
        "in \(concept) style, \(anchorPrompt)",
      ]
    case .object where anchor == "*":
      return [concept]
    case .object:
      guard anchorPrompt.range(of: anchor, options: .caseInsensitive) != nil else {
        throw ErasureError(
          "the anchor prompt \"\(anchorPrompt)\" does not contain the anchor concept \"\(anchor)\", "
            + "which \"\(concept)\" is to take the place of")
      }
      return [anchorPrompt.replacingOccurrences(of: anchor, with: concept, options: .caseInsensitive)]
    }
  }
}

/// The loss of ``ConceptAblation`` on a model's drawn anchor images.
public struct AblationObjective {
  private let ablation: ConceptAblation
  private let anchorModel: ConceptAblation.AnchorModel
  private let model: DiffusionModel
  private let latents: Tensor
  /// For each anchor prompt its text states, (1, positions, width), and those of the concept's prompts.
  private let prompts: [(anchor: Tensor, targets: [Tensor])]

  /// - Parameter latents: what ``GeneratedLatents`` drew from the anchor prompts
  /// - Throws: ``ErasureError`` for an anchor prompt that does not name the anchor.
  public init(_ settings: AblationSettings, _ model: DiffusionModel, latents: Tensor) throws {
    let ablation = settings.ablation
    self.ablation = ablation
    self.model = model
    self.latents = latents
    anchorModel = settings.anchorModel
    func states(_ prompt: String) -> Tensor { model.textEncoder([model.tokenizer.encode(prompt)]) }
    prompts = try ablation.anchorPrompts.map {
      (anchor: states($0), targets: try ablation.targetPrompts($0).map(states))
    }
  }

  /// The model whose prediction under the anchor prompt is the target.
  ///
  /// - Parameter tensors: the UNet's weights that are trained, as they are at a step
  public func anchor(_ tensors: [String: Tensor]) throws -> UNet2DConditionModel {
    anchorModel == .current ? try unet(tensors) : model.unet
  }

  private func unet(_ tensors: [String: Tensor]) throws -> UNet2DConditionModel {
    try UNet2DConditionModel(model.unet.config, model.unetWeights.replacing(tensors))
  }

  /// The loss of one sample: an anchor image, noise at a timestep uniform over the training timesteps, and the model's
  /// prediction under the concept's prompt.
  ///
  /// - Parameters:
  ///   - tensors: the UNet's weights that are trained, on the tape of what is learnt
  ///   - anchor: what ``anchor(_:)`` made of them before the step
  ///   - stream: the random numbers of this sample alone
  public func loss(
    of tensors: [String: Tensor], anchor: UNet2DConditionModel, _ stream: RandomStream
  ) throws -> Tensor {
    let unet = try unet(tensors)
    let sample = NoisedSample(latents, model.scheduler, stream)
    let (anchorPrompt, targets) = prompts[sample.image % prompts.count]
    let target = targets[targets.count > 1 ? stream.substream("phrase").integer(below: targets.count) : 0]
    let goal: Tensor
    switch ablation.lossType {
    case .noiseBased: goal = sample.noise
    case .modelBased: goal = predict(anchor, sample, anchorPrompt)
    }
    let loss = mseLoss(predict(unet, sample, target), goal)
    guard let weight = ablation.priorWeight else { return loss }
    let kept = NoisedSample(latents, model.scheduler, stream.substream("prior"))
    return loss + mseLoss(predict(unet, kept, prompts[kept.image % prompts.count].anchor), kept.noise) * weight
  }

  /// Both public repositories keep the keys and values of the begin token as they are.
  private func predict(_ unet: UNet2DConditionModel, _ sample: NoisedSample, _ states: Tensor) -> Tensor {
    unet(
      sample.latent, time: unet.prepare(timesteps: [sample.timestep]),
      text: unet.prepare(text: states).detachingFirst(1))
  }
}
